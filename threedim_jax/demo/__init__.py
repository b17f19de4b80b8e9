# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m threedim_jax.demo`: one picture, an orbit, a mesh, in the browser.

`page` is the layout, `handlers` what its buttons do, `outputs` what they show
and hand out. `examples/` holds held-out objects of `shapes`, drawn at 128
pixels. Uses every other folder but benchmark; nothing imports the demo.
"""

from etils import epath

EXAMPLES = epath.resource_path("threedim_jax") / "demo" / "examples"
