# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Parameters without a single zero: what starts at zero hides whatever it
multiplies.

params = random_params(module, seed, *args)  # module.init's arguments
"""

import jax
import numpy as np


def random_params(module, seed: int, *args, **kwargs) -> dict:
  """Random arrays in place of those that `module.init` would make.

  Kernels keep the variance of what they are applied to. NumPy draws them:
  nothing is compiled.
  """
  init = lambda rng: module.init(rng, *args, **kwargs)["params"]
  rng = np.random.default_rng(seed)

  def draw(path, leaf):
    value = rng.standard_normal(leaf.shape).astype(np.float32)
    if path[-1].key == "kernel":
      return value / np.sqrt(np.prod(leaf.shape[:-1]), dtype=np.float32)
    return 0.2 * value + (path[-1].key == "scale")

  shapes = jax.eval_shape(init, jax.random.key(0))
  return jax.tree_util.tree_map_with_path(draw, shapes)
