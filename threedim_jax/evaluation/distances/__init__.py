# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures distances between sets of pictures: FID, KID and two like them.

The two like FID and KID need only weights from a pip package. Start reading at
`features.py`. It turns pictures into features with the networks of
`inception.py` and `effnetlite0.py`, and compares sets of features with
`set_distances.py`. `torch_file.py` reads the weights of the networks.
"""
