# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws the parameters of an object from tables of ranges and options.

  p = draw(rng, chairs.CONTINUOUS, chairs.DISCRETE)
  p.seat_width, p.legs

Every entry is drawn for every object, even if the object does not use it. The
continuous entries are drawn first, in the order of their table. So a new row at
the end of the discrete table does not change other draws.
"""

import colorsys
import types

import numpy as np

# Ranges of hue (negative hues wrap round), saturation and value.
_MATERIALS = {
  "wood": ((0.045, 0.11), (0.35, 0.70), (0.35, 0.90)),
  "metal": ((0.55, 0.65), (0.00, 0.10), (0.45, 0.80)),
  "black": ((0.00, 1.00), (0.00, 0.25), (0.14, 0.28)),
  "paint": ((0.00, 1.00), (0.55, 0.95), (0.45, 0.95)),
  "pastel": ((0.00, 1.00), (0.15, 0.40), (0.75, 0.95)),
  "leather": ((0.00, 0.09), (0.45, 0.75), (0.28, 0.60)),
  "white": ((0.08, 0.15), (0.00, 0.08), (0.88, 0.98)),
  "red": ((-0.02, 0.03), (0.70, 0.92), (0.50, 0.90)),
  "blue": ((0.56, 0.65), (0.55, 0.90), (0.40, 0.85)),
  "yellow": ((0.07, 0.15), (0.70, 0.92), (0.80, 0.97)),
  "green": ((0.24, 0.45), (0.30, 0.75), (0.30, 0.65)),
  "glass": ((0.52, 0.62), (0.15, 0.40), (0.26, 0.52)),
}


def draw(
  rng: np.random.Generator, continuous: dict, discrete: dict
) -> types.SimpleNamespace:
  """Draws a value for each name: uniform in (low, high), or an option."""
  values = {k: float(rng.uniform(*r)) for k, r in continuous.items()}
  for name, options in discrete.items():
    values[name] = options[int(rng.integers(len(options)))]
  return types.SimpleNamespace(**values)


def color(
  material: str, hue: float, saturation: float, value: float
) -> np.ndarray:
  """Returns RGB in [0, 1]; inputs 0 .. 1 span the ranges of the material."""
  places = (hue, saturation, value)
  h, s, v = (
    low + place * (high - low)
    for place, (low, high) in zip(places, _MATERIALS[material], strict=True)
  )
  return np.array(colorsys.hsv_to_rgb(h % 1.0, s, v))


def color_of(p: types.SimpleNamespace, part: str) -> np.ndarray:
  """Returns RGB of a part, from its material and its three numbers in `p`."""
  names = ("material", "hue", "saturation", "value")
  return color(*(getattr(p, f"{part}_{name}") for name in names))
