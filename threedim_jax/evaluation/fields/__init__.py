# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Neural fields that are fitted to posed views, and meshes from them.

`fit.py` is the entrance for both fields. `field.py` and `grid_fit.py` are the
field of `consistency-v1`, `hash_field.py` and `hash_fit.py` that of
`consistency-3dim`. Both share `box.py` (where the object is) and `render.py`
(volume rendering). May import views, workdir and runtime.
"""
