# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""PNG bytes, the same for the same pixels on every run."""

import io

import numpy as np
from PIL import Image


def encode_png(pixels: np.ndarray) -> bytes:
  """8-bit RGB [H, W, 3] as PNG."""
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, "PNG")
  return buffer.getvalue()


def bytes_per_view(resolution: int) -> int:
  """A guess, on the high side, at the size of a stored view of an object."""
  return 500 + int(0.75 * resolution**2)
