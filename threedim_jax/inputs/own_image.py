# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Somebody's picture of an object, made to look like a training view.

  image_u8 = prepare(open_photo("photo.png"), resolution=32)

The object is told from its background by the alpha channel or, without one, by
a plain background; it is laid over white, centred and brought to the size that
training objects have in their pictures.
"""

import io
import struct

import cv2
from etils import epath
from jaxtyping import Bool, Float32, UInt8
import numpy as np
from PIL import ExifTags, Image

from threedim_jax.inputs.posed_images.pictures import open_picture
from threedim_jax.runtime.errors import UserError

# The longer side of an object over that of its picture: the median of the test
# views of `shapes` between 10 and 45 degrees of elevation.
FILL = 0.78
MAX_BYTES, MAX_PIXELS = 20_000_000, 50_000_000
_WORKING_SIDE = 1024  # pixels; more of them say nothing about 128
_PLAIN = 24.0  # grey levels between a background and the picture's border
_SHOWN = 0.9  # of the border must be background
_SPECK = 0.01  # a smaller part of the whole object is dirt
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
_ASK = (
  "save it with a transparent background (a PNG from any background remover),"
  " or photograph the object whole on a plain one"
)


def open_photo(path: epath.PathLike) -> Image.Image:
  """Reads a picture of any common format, turned as its camera was held.

  Raises:
    UserError: no such file, too large, or no 8-bit picture.
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
  """The same of the bytes of a file, which messages call `source`."""
  _check_pixels(data, source)
  return _turned(open_picture(data, source))


def _turned(image: Image.Image) -> Image.Image:
  """By the orientation in its EXIF, as it is if that cannot be read.

  Pillow's exif_transpose writes the other entries again, which fails on many
  that cameras make.
  """
  try:
    orientation = image.getexif().get(ExifTags.Base.Orientation)
  except (SyntaxError, ValueError, struct.error):
    return image
  turn = _TURNS.get(orientation)
  return image if turn is None else image.transpose(turn)


def _check_pixels(data: bytes, source: str) -> None:
  """Refuses by its header what would not fit into memory when decoded."""
  try:
    with Image.open(io.BytesIO(data)) as image:
      width, height = image.size
  except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
    raise UserError(f"{source} does not decode: it is not a picture.") from e
  if width * height > MAX_PIXELS:
    raise UserError(
      f"{source} has {width} x {height} pixels; at most {MAX_PIXELS / 1e6:.0f}"
      " million are read: save it smaller."
    )


def prepare(
  image: Image.Image, resolution: int, *, fill: float = FILL
) -> UInt8[np.ndarray, "R R 3"]:
  """The object over white, centred in a square of `resolution` pixels.

  Args:
    image: with an alpha channel, or on a plain background.
    resolution: side of the result.
    fill: longer side of the object over `resolution`.

  Raises:
    UserError: nothing tells the object from its background.
  """
  image = image.convert("RGBA")
  image.thumbnail((_WORKING_SIDE, _WORKING_SIDE), Image.Resampling.BOX)
  pixels = np.asarray(image, np.float32)
  rgb, alpha = pixels[..., :3], pixels[..., 3:] / 255
  if alpha.min() < 0.5:
    object_mask = alpha[..., 0] >= 0.5
  else:
    object_mask = _not_background(rgb)
    alpha = object_mask[..., None].astype(np.float32)
  object_mask = _without_specks(object_mask)
  if not object_mask.any():
    raise UserError(f"The picture shows no object: {_ASK}.")
  # Specks vanish, soft edges of the object itself stay.
  near = cv2.dilate(object_mask.astype(np.uint8), np.ones((5, 5), np.uint8))
  alpha = alpha * near[..., None]
  over_white = rgb * alpha + 255 * (1 - alpha)
  square = _square_around(over_white, object_mask, fill)
  shrinks = square.shape[0] > resolution
  out = cv2.resize(
    square,
    (resolution, resolution),
    interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
  )
  return (out.clip(0, 255) + 0.5).astype(np.uint8)


def _not_background(
  rgb: Float32[np.ndarray, "H W 3"],
) -> Bool[np.ndarray, "H W"]:
  """What is not joined to the border by pixels of the border's colour."""
  border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
  color = np.median(border, axis=0)
  alike = np.abs(rgb - color[None, None]).max(-1) < _PLAIN
  share = np.mean(np.abs(border - color[None]).max(-1) < _PLAIN)
  if share < _SHOWN:
    raise UserError(
      "The object cannot be told from its background, which is not plain:"
      f" {_ASK}."
    )
  # A frame of background joins all parts of it that touch the border.
  framed = np.pad(alike, 1, constant_values=True).astype(np.uint8)
  _, labels = cv2.connectedComponents(framed, connectivity=4)
  return (labels != labels[0, 0])[1:-1, 1:-1]


def _without_specks(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
  count, labels, stats, _ = cv2.connectedComponentsWithStats(
    mask.astype(np.uint8), connectivity=8
  )
  area = stats[:, cv2.CC_STAT_AREA]
  keep = area > max(4, _SPECK * mask.sum())
  keep[0] = False  # the background
  return keep[labels] if count > 1 else mask & False


def _square_around(
  rgb: Float32[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"], fill: float
) -> Float32[np.ndarray, "S S 3"]:
  """The part of the picture around the object, white where there is none."""
  ys, xs = np.nonzero(mask)
  low = np.array([ys.min(), xs.min()])
  high = np.array([ys.max(), xs.max()]) + 1
  side = int(np.ceil((high - low).max() / fill))
  start = (low + high - side) // 2
  overhang = np.maximum(-start, start + side - mask.shape)
  margin = max(0, int(overhang.max()))
  padded = np.pad(
    rgb, ((margin, margin), (margin, margin), (0, 0)), constant_values=255
  )
  y, x = start + margin
  return np.ascontiguousarray(padded[y : y + side, x : x + side])
