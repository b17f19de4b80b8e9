# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures distances between sets of pictures: FID, KID and similar metrics.

FID and KID need a weights file that the user supplies. Two similar metrics need
only a pip package. Start reading at `features.py`. It turns pictures into
features with the networks in `inception.py` and `effnetlite0.py`, and compares
sets of features with `set_distances.py`. `torch_file.py` reads the networks'
weights.
"""
