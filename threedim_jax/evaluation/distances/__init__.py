# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compares sets of pictures: FID, KID, and two metrics that need no download.

Start at `features.py`. It turns pictures into features with the networks of
`inception.py` and `effnetlite0.py`, whose weights `torch_file.py` reads, and
compares sets of features with `set_distances.py`.
"""
