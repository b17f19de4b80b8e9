# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits neural fields to posed views, and extracts meshes from the fields.

A posed view is a picture with its camera. Start reading at `fit.py`, which fits
two kinds of field. `field.py` and `grid_fit.py` implement the field of
`consistency-v1`. `hash_field.py` and `hash_fit.py` implement the field of
`consistency-3dim`. Both kinds use `box.py` (where the object is) and
`render.py` (volume rendering).
"""
