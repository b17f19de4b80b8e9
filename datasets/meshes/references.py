# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads files that a mesh file refers to: buffers, materials and textures.

refers = References(source, path)
data = refers.read(refers.find("model.bin"))    # UserError if it is missing
pixels = refers.texture("wood.png")    # None if it cannot be used
refers.notes    # a sentence for each unusable texture, and for each guess
"""

import codecs
from collections.abc import Sequence
import io
import itertools
import pathlib
import re

import cv2
from meshes.sources import Folder, NotHere, Zip, find_below
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
# Folders of an object that hold its mesh, while others hold its textures.
_MESH_FOLDERS = ("meshes", "models", "source")


class References:
  """Reads the files that one mesh file refers to."""

  def __init__(self, source: Folder | Zip, path: pathlib.PurePath):
    self.label = f"{source.name}/{path}"
    self.notes: list[str] = []
    self._source, self._path = source, path
    self._folder = path.parent  # of the object
    if self._folder.name.lower() in _MESH_FOLDERS:
      self._folder = self._folder.parent
    self._pictures: dict[tuple, np.ndarray | None] = {}

  def has(self, name: str) -> bool:
    """Returns whether there is a file of this whole name."""
    try:
      self._find(name)
    except NotHere:
      return False
    return True

  def read(self, path: pathlib.PurePath) -> bytes:
    """Reads a file that `find` found.

    Raises:
      UserError: the file cannot be read.
    """
    return self._source.read(path)

  def find(self, name: str) -> pathlib.PurePath:
    """Finds a file that the mesh needs.

    If there is no file of this name, the one that its last word names is taken,
    with a note.

    Raises:
      UserError: the file is missing or outside the folder.
    """
    try:
      return self._find(name)
    except NotHere as e:
      found = self._by_last_word(name)
      if found is None:
        raise UserError(
          f"{self.label} refers to {name!r}, which cannot be had ({e}): put it"
          " there, or take the reference out."
        ) from e
    self._note_guess(name, found)
    return found

  def texture(
    self, *names: str, library: pathlib.PurePath | None = None
  ) -> np.ndarray | None:
    """Decodes a picture file to uint8 [H, W, 4]; None if it is unusable.

    If it is not where its path says, the only file of its name in the object's
    folder is taken, or the file that its last word names, with a note.

    Args:
      names: the path as the mesh has it; then other ways to read it.
      library: the file that has the path, if it is not the mesh. The path is
        looked up from there first, then from the mesh.
    """
    key = (library, *names)
    if key not in self._pictures:
      try:
        found, is_guess = self._find_texture(names, library or self._path)
        pixels = self.decode(self._source.read(found), names[0])
        if is_guess and pixels is not None:
          self._note_guess(names[0], found)
      except (NotHere, UserError) as e:
        self._note(names[0], str(e))
        pixels = None
      self._pictures[key] = pixels
    return self._pictures[key]

  def _find(
    self, name: str, library: pathlib.PurePath | None = None
  ) -> pathlib.PurePath:
    """Finds the file of this whole name, from the mesh or the library.

    Raises:
      NotHere: there is none.
    """
    found = self._source.find(name, library or self._path)
    if not _has_hash_of(name, found):
      raise NotHere("there is no such file")
    return found

  def _find_texture(
    self, names: Sequence[str], library: pathlib.PurePath
  ) -> tuple[pathlib.PurePath, bool]:
    """Finds a texture; also returns whether this is a guess.

    Raises:
      NotHere: there is none.
    """
    reasons = []
    # One path is enough if both files lie in one folder.
    paths = {p.parent: p for p in (library, self._path)}.values()
    for path, name in itertools.product(paths, names):
      try:
        return self._find(name, path), False
      except NotHere as e:
        reasons.append(e)
    for name in names:
      found = find_below(self._source, self._folder, name)
      if found is not None and _has_hash_of(name, found):
        return found, True
    found = self._by_last_word(names[-1])
    if found is None:
      raise reasons[-1]
    return found, True

  def _by_last_word(self, name: str) -> pathlib.PurePath | None:
    """Finds the file that the last of several words names, if there is one.

    Some programs read only that, and people renamed their files to match.
    """
    words = name.split()
    if len(words) > 1 and self.has(words[-1]):
      return self._find(words[-1])
    return None

  def decode(self, data: bytes, name: str) -> np.ndarray | None:
    """Decodes a picture to uint8 [H, W, 4]; None, with a note, if damaged."""
    try:
      return _decode(data)
    except Exception as e:  # decoders raise many types for broken bytes
      self._note(name, f"it does not decode: {' '.join(str(e).split())}")
      return None

  def _note(self, name: str, reason: str) -> None:
    self.notes.append(f"the texture {name!r} is not used ({reason})")

  def _note_guess(self, name: str, found: pathlib.PurePath) -> None:
    self.notes.append(f"{name!r} is not there, {str(found)!r} is used")


def _has_hash_of(name: str, found: pathlib.PurePath) -> bool:
  """Returns False if `name` has a comment but the found file's path has no "#".

  Then the file was found by the last part of a path in the comment.
  """
  return without_comment(name) == name.strip() or "#" in str(found)


def without_comment(text: str) -> str:
  """Cuts off what follows a "#" at the start of a word."""
  return re.sub(r"(^|\s)#.*", "", text).strip()


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
  """Decodes UTF-8, or UTF-16 with a byte-order mark, otherwise Latin-1.

  Lines end with "\\n". Do not use `splitlines`: it takes the byte 0x85 of a
  Japanese name in Latin-1 for the end of a line.
  """
  is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
  try:
    text = data.decode("utf-16" if is_utf_16 else "utf-8-sig")
  except UnicodeDecodeError:
    text = data.decode("latin-1")
  return text.replace("\r\n", "\n").replace("\r", "\n")
