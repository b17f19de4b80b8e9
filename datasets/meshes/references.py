# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads files that a mesh file refers to: buffers, materials and textures.

refers = References(source, path)
data = refers.read("model.bin")        # UserError if it is missing
pixels = refers.texture("wood.png")    # None if it cannot be used
refers.notes                           # a sentence for each unusable texture
"""

import io
import pathlib

import cv2
from meshes.sources import Folder, NotHere, Zip
import numpy as np
from PIL import Image

from threedim_jax.inputs.posed_images.pictures import open_as
from threedim_jax.runtime.errors import UserError

# Pillow reads more formats. EPS is left out because Pillow starts another
# program for it, the others because textures are not stored in them.
_FORMATS = (
  "AVIF BMP DDS GIF JPEG JPEG2000 MPO PCX PNG PPM PSD SGI TGA TIFF WEBP".split()
)
_MAX_PIXELS = 2**26
_MAX_SIDE = 2048  # larger textures are scaled down; views have at most 128


class References:
  """Reads the files that one mesh file refers to."""

  def __init__(self, source: Folder | Zip, path: pathlib.PurePath):
    self.label = f"{source.name}/{path}"
    self.notes: list[str] = []
    self._source, self._path = source, path
    self._pictures: dict[str, np.ndarray | None] = {}

  def has(self, name: str) -> bool:
    """Returns whether there is a file of this name."""
    try:
      self._source.find(name, self._path)
    except NotHere:
      return False
    return True

  def read(self, name: str) -> bytes:
    """Reads a file that the mesh needs.

    Raises:
      UserError: the file is missing, outside the folder, or cannot be read.
    """
    try:
      return self._source.read(self._source.find(name, self._path))
    except NotHere as e:
      raise UserError(
        f"{self.label} refers to {name!r}, which cannot be had ({e}): put it"
        " there, or take the reference out."
      ) from e

  def texture(self, name: str) -> np.ndarray | None:
    """Decodes a picture file to uint8 [H, W, 4]; None if it is unusable."""
    if name not in self._pictures:
      try:
        data = self._source.read(self._source.find(name, self._path))
        self._pictures[name] = self.decode(data, name)
      except (NotHere, UserError) as e:
        self._note(name, str(e))
        self._pictures[name] = None
    return self._pictures[name]

  def decode(self, data: bytes, name: str) -> np.ndarray | None:
    """Decodes a picture to uint8 [H, W, 4]; None, with a note, if damaged."""
    try:
      return _decode(data)
    except Exception as e:  # decoders raise many types for broken bytes
      self._note(name, f"it does not decode: {' '.join(str(e).split())}")
      return None

  def _note(self, name: str, reason: str) -> None:
    self.notes.append(f"the texture {name!r} is not used ({reason})")


def _decode(data: bytes) -> np.ndarray:
  image = open_as(io.BytesIO(data), _FORMATS)
  if image.width * image.height > _MAX_PIXELS:
    raise ValueError(f"{image.width} x {image.height} pixels are too many")
  image.load()
  if image.mode in ("RGB", "RGBA", "L") and max(image.size) > 2 * _MAX_SIDE:
    image = image.reduce(max(image.size) // (2 * _MAX_SIDE))  # saves memory
  if image.mode in ("I;16", "I;16L", "I;16B", "I", "F"):
    grey = np.asarray(image, np.float64)
    deepest = 255 if image.mode == "F" else 65535
    grey = np.clip(grey / deepest, 0, 1) * 255
    image = Image.fromarray((grey + 0.5).astype(np.uint8))
  pixels = np.asarray(image.convert("RGBA"))
  scale = _MAX_SIDE / max(pixels.shape[:2])
  if scale < 1:
    size = [max(1, round(n * scale)) for n in (image.width, image.height)]
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
  return pixels


def decode_text(data: bytes) -> str:
  """Decodes UTF-8 with or without a byte-order mark, otherwise Latin-1."""
  try:
    return data.decode("utf-8-sig")
  except UnicodeDecodeError:
    return data.decode("latin-1")
