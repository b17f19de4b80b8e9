# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small ICC profiles (version 2), and what their definitions say.

image.save("a.jpg", icc_profile=adobe_rgb())
"""

import pathlib

import numpy as np

_DATA = pathlib.Path(__file__).parents[1] / "data"
GAMMA = 2.19922
# Primaries as XYZ under D50 (columns: red, green, blue).
XYZ_FROM_ADOBE = np.array(
  [
    [0.60974, 0.20528, 0.14919],
    [0.31111, 0.62567, 0.06322],
    [0.01947, 0.06087, 0.74457],
  ]
)
XYZ_FROM_SRGB = np.array(
  [
    [0.43607, 0.38515, 0.14307],
    [0.22249, 0.71687, 0.06061],
    [0.01392, 0.09708, 0.71410],
  ]
)


def adobe_rgb() -> bytes:
  """Adobe RGB (1998): `XYZ_FROM_ADOBE` and `GAMMA`."""
  return (_DATA / "adobe_rgb.icc").read_bytes()


def grey_ink_cmyk() -> bytes:
  """Every ink is grey: L* is 100 less 50 for C, 25 for M and 25 for all K."""
  return (_DATA / "grey_ink_cmyk.icc").read_bytes()


def srgb_from_adobe(rgb) -> np.ndarray:
  """Levels 0 .. 255 by the definitions, clipped to the gamut of sRGB."""
  linear = (np.asarray(rgb) / 255) ** GAMMA
  linear = np.linalg.solve(XYZ_FROM_SRGB, XYZ_FROM_ADOBE @ linear).clip(0, 1)
  low, high = 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
  return 255 * np.where(linear < 0.0031308, low, high)
