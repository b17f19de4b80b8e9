# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights that two programs can make from their names, without a file.

state = formula_weights({"stem.conv.weight": (8, 3, 3, 3), ...})
"""

from collections.abc import Mapping
import zlib

import numpy as np


def formula_weights(shapes: Mapping[str, tuple]) -> dict[str, np.ndarray]:
  """Uniform noise: layers keep the size of what they are given."""
  return {name: _array(name, shape) for name, shape in shapes.items()}


def _array(name: str, shape: tuple[int, ...]) -> np.ndarray:
  if name.endswith("num_batches_tracked"):
    return np.zeros(shape, np.int64)
  rng = np.random.default_rng(zlib.crc32(name.encode()))
  noise = 2 * rng.random(shape) - 1
  if len(shape) > 1:  # variance 2 / (number of inputs)
    return np.float32(noise * np.sqrt(6 / np.prod(shape[1:])))
  if name.endswith(("bn.weight", "running_var")):
    return np.float32(1 + 0.5 * noise)
  return np.float32(0.3 * noise)


def read_shapes(path) -> dict[str, tuple[int, ...]]:
  """Lines such as "fc.weight 1008 2048"."""
  rows = [line.split() for line in path.read_text().splitlines()]
  return {name: tuple(map(int, sizes)) for name, *sizes in rows}
