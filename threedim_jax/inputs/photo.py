# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads a photo in any common format and turns it upright.

image = open_photo("photo.jpg")
"""

import struct

from etils import epath
from PIL import ExifTags, Image

from threedim_jax.inputs.posed_images.pictures import open_picture
from threedim_jax.runtime.disk import read_input
from threedim_jax.runtime.errors import UserError

MAX_BYTES = 20_000_000
_TURNS = {  # EXIF orientation -> how to turn the photo upright; 1 is upright
  2: Image.Transpose.FLIP_LEFT_RIGHT,
  3: Image.Transpose.ROTATE_180,
  4: Image.Transpose.FLIP_TOP_BOTTOM,
  5: Image.Transpose.TRANSPOSE,
  6: Image.Transpose.ROTATE_270,
  7: Image.Transpose.TRANSVERSE,
  8: Image.Transpose.ROTATE_90,
}


def open_photo(path: epath.PathLike) -> Image.Image:
  """Reads a photo from a file and turns it upright.

  The photo's embedded colour profile is kept in the result's `info`.

  Raises:
    UserError: the file does not exist, is larger than 20 MB, or is rejected by
      `open_picture`.
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
  return decode_photo(read_input(path), str(path))


def decode_photo(data: bytes, source: str) -> Image.Image:
  """Decodes the bytes of a photo file and turns the photo upright.

  Args:
    source: what error messages call the photo.

  Raises:
    UserError: `open_picture` rejects the photo.
  """
  image = open_picture(data, source)
  # Pillow's `exif_transpose` would also rewrite all other EXIF entries, and
  # fails on some entries that real cameras write.
  try:
    orientation = image.getexif().get(ExifTags.Base.Orientation)
  except (SyntaxError, ValueError, struct.error):
    return image
  if orientation not in _TURNS:
    return image
  upright = image.transpose(_TURNS[orientation])
  upright.info = image.info  # includes the colour profile
  return upright
