# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Cameras and pictures: the two halves of a posed view.

Imports runtime only.
"""
