# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads a photo of any common format, turned as its camera was held.

image = open_photo("photo.jpg")
"""

import struct

from etils import epath
from PIL import ExifTags, Image

from threedim_jax.inputs.posed_images.pictures import open_picture
from threedim_jax.runtime.errors import UserError

MAX_BYTES = 20_000_000
_TURNS = dict(  # by EXIF's orientation; 1 is upright
  enumerate(
    (
      Image.Transpose.FLIP_LEFT_RIGHT,
      Image.Transpose.ROTATE_180,
      Image.Transpose.FLIP_TOP_BOTTOM,
      Image.Transpose.TRANSPOSE,
      Image.Transpose.ROTATE_270,
      Image.Transpose.TRANSVERSE,
      Image.Transpose.ROTATE_90,
    ),
    start=2,
  )
)


def open_photo(path: epath.PathLike) -> Image.Image:
  """The decoded photo, upright; its colour profile is kept.

  Raises:
    UserError: no such file, more than 20 MB, or as `open_picture`.
  """
  path = epath.Path(path)
  if not path.is_file():
    raise UserError(f"There is no picture {path}.")
  size = path.stat().length
  if size > MAX_BYTES:
    raise UserError(
      f"{path} has {size / 1e6:.0f} MB; at most"
      f" {MAX_BYTES / 1e6:.0f} are read: save it smaller."
    )
  return decode_photo(path.read_bytes(), str(path))


def decode_photo(data: bytes, source: str) -> Image.Image:
  """As `open_photo`, of the bytes of a file; `source` names it in errors."""
  image = open_picture(data, source)
  # Pillow's exif_transpose writes the other entries again, which fails on many
  # that cameras make.
  try:
    orientation = image.getexif().get(ExifTags.Base.Orientation)
  except (SyntaxError, ValueError, struct.error):
    return image
  turn = _TURNS.get(orientation)
  return image if turn is None else _transposed(image, turn)


def _transposed(image: Image.Image, turn: Image.Transpose) -> Image.Image:
  info = image.info
  image = image.transpose(turn)
  image.info = info  # with its colour profile
  return image
