# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Distances between sets of pictures: FID, KID, and two that need no download.

`features.py` is the front: pictures to features, features to named distances.
"""
