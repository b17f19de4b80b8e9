# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks that the pictures and cameras of a data set agree, and names the
mistake if they do not.
"""
