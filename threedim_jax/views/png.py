# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads and writes 8-bit RGB PNG files, which hold the generated views.

  path.write_bytes(encode_png(image_u8))
  image_u8 = decode_png(path.read_bytes(), path)

The decoder is strict: it refuses alpha channels, palettes and 16-bit channels.
Most image readers convert such files silently, which would change the metrics.
Users' pictures are read by `inputs/posed_images/pictures.py`, and data sets by
`inputs/view_source.py`.
"""

import io
from typing import Any

from jaxtyping import UInt8
import numpy as np
from PIL import Image

from threedim_jax.runtime.errors import UserError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH_AND_COLOR = slice(24, 26)  # in the header chunk, which comes first
_RGB8 = bytes([8, 2])
_END = b"\0\0\0\0IEND\xaeB`\x82"


def encode_png(image_u8: UInt8[np.ndarray, "H W 3"]) -> bytes:
  """Encodes a picture; the same picture always gives the same bytes."""
  data = io.BytesIO()
  Image.fromarray(image_u8).save(data, format="PNG")
  return data.getvalue()


def decode_png(data: bytes, name: Any) -> UInt8[np.ndarray, "H W 3"]:
  """Decodes the bytes of an 8-bit RGB PNG file.

  Args:
    name: what error messages call the file, such as its path.

  Raises:
    UserError: the file is not a PNG, is not 8-bit RGB, or is damaged.
  """
  if not data.startswith(_SIGNATURE):
    raise UserError(f"{name} is not a PNG file. Replace or remake it.")
  if data[_DEPTH_AND_COLOR] != _RGB8:
    raise UserError(
      f"{name} is a PNG file, but not an 8-bit RGB one. Save it again"
      " without alpha channel, palette or 16-bit channels."
    )
  try:
    if not data.endswith(_END):
      raise ValueError("its end is missing")
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
      image.verify()  # the checksums, which loading alone does not check
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
      return np.array(image)
  except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
    raise UserError(
      f"{name} does not decode ({e}): it is damaged. Remake it."
    ) from e
