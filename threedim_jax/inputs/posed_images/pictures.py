# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of other programs: decoded, laid over white, brought to a size.

  image = open_picture(data, "rgb/000000.png")   # PIL, complete and 8-bit
  rgb = over_white(image)                        # float32 0 .. 255
  image_u8, K = fit(rgb, K, size=64)

Alpha is composited before resampling and in float: done in 8 bits or the other
way round, the edge of every object would be wrong by some grey levels.
"""

import io

import cv2
from etils import epath
from jaxtyping import Float, Float32, UInt8
import numpy as np
from PIL import Image, UnidentifiedImageError

from threedim_jax.runtime.errors import UserError

_MODES_8_BIT = ("RGB", "RGBA", "L", "LA", "P", "PA", "1")
_DEPTH = 24  # where the header chunk of a PNG file has the bits of a channel


def open_picture(data: bytes, source: str) -> Image.Image:
  """The whole picture, decoded; a UserError names what is wrong with it."""
  try:
    image = Image.open(io.BytesIO(data))
    image.load()
  except UnidentifiedImageError as e:
    raise UserError(f"{source} does not decode: it is not a picture.") from e
  except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
    raise UserError(f"{source} does not decode ({e}).") from e
  # Pillow would drop the lower half of the bits of RGB without a word.
  deep = image.format == "PNG" and data[_DEPTH] == 16
  if deep or image.mode not in _MODES_8_BIT:
    kind = "16 bits a channel" if deep else f"mode {image.mode}"
    raise UserError(
      f"{source} is not an 8-bit picture ({kind}): save it with 8 bits."
    )
  return image


def read_hw(path: epath.Path) -> tuple[int, int]:
  """Height and width of a picture, from its header alone."""
  try:
    with path.open("rb") as file, Image.open(file) as image:
      return image.height, image.width
  except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
    raise UserError(f"{path} is not a picture ({e}).") from e


def over_white(image: Image.Image) -> Float32[np.ndarray, "H W 3"]:
  """Grey levels 0 .. 255 of an 8-bit picture, its alpha laid over white."""
  if image.mode == "RGB" and "transparency" not in image.info:
    return np.asarray(image, np.float32)
  rgba = np.asarray(image.convert("RGBA"), np.float32)
  rgb, alpha = rgba[..., :3], rgba[..., 3:] / 255
  return rgb * alpha + 255 * (1 - alpha)


def fit(
  rgb: Float32[np.ndarray, "H W 3"],
  K: Float[np.ndarray, "3 3"],
  size: int | None,
) -> tuple[UInt8[np.ndarray, "H2 W2 3"], Float[np.ndarray, "3 3"]]:
  """The picture as uint8 with `size` x `size` pixels, and its K.

  A picture that is not square gets white margins to make it square: that
  keeps what is seen and its proportions. Then areas are averaged, and K moves
  along (pixel centres lie at +0.5, so scaling it is all). None: as it is.
  """
  K = K.copy()
  if size is not None:
    h, w = rgb.shape[:2]
    side = max(h, w)
    top, left = (side - h) // 2, (side - w) // 2
    margins = ((top, side - h - top), (left, side - w - left), (0, 0))
    rgb = np.pad(rgb, margins, constant_values=255)
    K[:2] += np.outer([left, top], K[2])
    if side != size:
      rgb = cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA)
      K[:2] *= size / side
  return (rgb + 0.5).astype(np.uint8), K
