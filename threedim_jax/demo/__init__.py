# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The browser demo: makes an orbit and a mesh from one picture.

`python -m threedim_jax.demo` starts it. `page` is the layout, `handlers` has
the functions of the buttons, and `outputs` makes the HTML and the files that
they return. `examples/` holds held-out objects of `shapes`, drawn at 128
pixels. May import all but modes and benchmark; nothing imports the demo.
"""

from etils import epath

EXAMPLES = epath.resource_path("threedim_jax") / "demo" / "examples"
