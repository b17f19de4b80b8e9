# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits neural fields to posed views, and extracts meshes from them.

Start at `fit.py`, which fits either of two fields. `field.py` and `grid_fit.py`
implement the field of `consistency-v1`, `hash_field.py` and `hash_fit.py` the
field of `consistency-3dim`. Both use `box.py` (where the object is) and
`render.py` (volume rendering).
"""
