# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The browser demo: makes views and a mesh of an object from one picture.

`python -m threedim_jax.demo` starts the demo. `page` is the layout, `handlers`
has the functions behind the buttons, and `outputs` makes the HTML and the files
that these functions return. `examples/` holds pictures of held-out objects from
the data set `shapes`, rendered at 128 pixels. Code here may import from every
other folder of the package except `modes` and `benchmark`. No other folder of
the package may import from this one.
"""

from etils import epath

EXAMPLES = epath.resource_path("threedim_jax") / "demo" / "examples"
