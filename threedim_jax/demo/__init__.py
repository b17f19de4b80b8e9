# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m threedim_jax.demo`: one picture, an orbit, a mesh, in the browser.

`engine` samples and knows no page, `page` is the page and knows no network,
`outputs` makes what there is to look at and to keep. `examples/` holds held-out
objects of `shapes`, drawn at 128 pixels.
"""
