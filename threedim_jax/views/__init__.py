# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Cameras, pictures, and `PosedViews`, which has both; metrics of pictures.

May import runtime only.
"""
