# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Distances between sets of pictures: FID, KID, and two that need no download.

`features.py` is the entrance. It turns pictures into features by the networks
of `inception.py` and `effnetlite0.py`, whose weights `torch_file.py` reads, and
compares sets of features by `set_distances.py`.
"""
