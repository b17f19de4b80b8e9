# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks whether the cameras of a data set fit its pictures.

If cameras and pictures do not fit, the report names the likely mistake.
"""
