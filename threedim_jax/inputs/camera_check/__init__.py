# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks whether the pictures and cameras of a data set fit together. If they
do not, it names the mistake.
"""
