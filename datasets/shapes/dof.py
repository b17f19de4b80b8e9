# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Degrees of freedom: tables of ranges and options, drawn from a generator.

  p = draw(rng, chairs.CONTINUOUS, chairs.DISCRETE)
  p.seat_width, p.legs

Every entry is drawn for every object, used or not, in the order of the tables:
a new option at the end of a table leaves the other draws as they were.
"""

import colorsys
import types

import numpy as np


def draw(
    rng: np.random.Generator, continuous: dict, discrete: dict
) -> types.SimpleNamespace:
  """One value for each name: uniform in (low, high), or one of the options."""
  values = {k: float(rng.uniform(*r)) for k, r in continuous.items()}
  for name, options in discrete.items():
    values[name] = options[int(rng.integers(len(options)))]
  return types.SimpleNamespace(**values)


# Ranges of hue, saturation and value that look like the material.
_MATERIALS = {
    "wood": ((0.045, 0.11), (0.35, 0.70), (0.30, 0.85)),
    "metal": ((0.55, 0.65), (0.00, 0.10), (0.35, 0.75)),
    "black": ((0.00, 1.00), (0.00, 0.25), (0.08, 0.22)),
    "paint": ((0.00, 1.00), (0.55, 0.95), (0.35, 0.90)),
    "pastel": ((0.00, 1.00), (0.15, 0.40), (0.70, 0.92)),
    "leather": ((0.00, 0.09), (0.45, 0.75), (0.22, 0.55)),
    "white": ((0.08, 0.15), (0.00, 0.08), (0.84, 0.95)),
    "glass": ((0.52, 0.62), (0.15, 0.45), (0.16, 0.42)),
    "rubber": ((0.60, 0.60), (0.05, 0.05), (0.10, 0.16)),
}
MATERIALS = tuple(_MATERIALS)


def color(material: str, hue: float, saturation: float, value: float):
  """RGB in [0, 1]; the three numbers are places in the material's ranges."""
  hsv = (
      low + u * (high - low)
      for u, (low, high) in zip(
          (hue, saturation, value), _MATERIALS[material], strict=True
      )
  )
  return np.array(colorsys.hsv_to_rgb(*hsv))
