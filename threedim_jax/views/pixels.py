# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Converts pixel values between ranges and colour spaces.

The network takes images as float32 in [-1, 1]. Files hold uint8, and batches go
to the device as uint8. `from_u8` and `to_u8` accept NumPy or JAX arrays, also
inside `jit`, and return the same kind of array:

  x0 = from_u8(batch.target_view)  # inside jit, so the device receives uint8
  write_png(path, to_u8(np.asarray(generated)))

Metrics and neural fields use values from 0 to 1. `linear_from_srgb` and
`srgb_from_linear` convert the colours of meshes to and from linear light.
"""

from typing import TypeVar

import numpy as np

Array = TypeVar("Array")  # np.ndarray or jax.Array, any shape


def from_u8(image_u8: Array) -> Array:
  """Converts uint8 from 0 to 255 to float32 from -1 to 1."""
  return image_u8.astype("float32") / 127.5 - 1.0


def to_u8(image: Array) -> Array:
  """Converts floats from -1 to 1 to uint8 from 0 to 255.

  Values outside the range are clipped, and the result is rounded to nearest.
  """
  return ((image.clip(-1.0, 1.0) + 1.0) * 127.5).round().astype("uint8")


def linear_from_srgb(srgb: np.ndarray) -> np.ndarray:
  """Converts sRGB display values in [0, 1] to linear light (IEC 61966-2-1)."""
  bent = ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4
  return np.where(srgb <= 0.04045, srgb / 12.92, bent)


def srgb_from_linear(linear: np.ndarray) -> np.ndarray:
  """Converts linear light in [0, 1] to sRGB display values (IEC 61966-2-1)."""
  bent = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
  return np.where(linear <= 0.0031308, 12.92 * linear, bent)
