# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the catalogue of a Sweet Home 3D furniture library (.sh3f).

  entries = read_catalogue(zip)    # {PurePosixPath("a/a.obj"): Entry(...)}

A library is a zip file whose `PluginFurnitureCatalog.properties` has a name, a
category, a size and perhaps a rotation for each model.
"""

import dataclasses
import pathlib

from meshes.sources import Zip
import numpy as np

from threedim_jax.runtime.errors import UserError

_FILE = pathlib.PurePosixPath("PluginFurnitureCatalog.properties")


@dataclasses.dataclass(frozen=True)
class Entry:
  """A model's entry in a catalogue.

  Attributes:
    name: of the object, in English.
    category: such as "Office".
    size: width (x), height (y) and depth (z) of the turned model, in cm.
    rotation: turns the file's axes; nine numbers, row by row.
  """

  name: str
  category: str
  size: tuple[float, float, float]
  rotation: tuple[float, ...]

  def scaled_rotation(self, corners: np.ndarray) -> np.ndarray:
    """Returns a matrix [3, 3] that turns and scales the `corners` of the file.

    The box around the turned model then has the size in the catalogue. A flat
    model stays flat.
    """
    rotation = np.array(self.rotation).reshape(3, 3)
    box = np.ptp(corners.reshape(-1, 3) @ rotation.T, axis=0)
    flat = box < 1e-9 * box.max()
    scale = np.array(self.size) / np.where(flat, 1, box)
    return np.where(flat, 1, scale)[:, None] * rotation


def read_catalogue(source: Zip) -> dict[pathlib.PurePath, Entry] | None:
  """Returns {path of the model: entry}, or None for other zip files.

  Raises:
    UserError: an entry has no size, or its numbers are impossible.
  """
  if _FILE not in {path for path, _ in source.files()}:
    return None
  properties = _properties(source.read(_FILE).decode("latin-1"))
  entries = {}
  for key, model in properties.items():
    kind, _, number = key.partition("#")
    if kind != "model":
      continue
    label = f"model#{number} of {source.name}/{_FILE}"
    size = [
      properties.get(f"{side}#{number}", "")
      for side in ("width", "height", "depth")
    ]
    rotation = properties.get(f"modelRotation#{number}", "1 0 0 0 1 0 0 0 1")
    name = properties.get(f"name#{number}")
    entries[pathlib.PurePosixPath(model.lstrip("/"))] = Entry(
      name=name or pathlib.PurePosixPath(model).stem,
      category=properties.get(f"category#{number}", ""),
      size=_numbers(size, f"the size of {label}"),
      rotation=_rotation(rotation.split(), f"modelRotation of {label}"),
    )
  return entries


def _properties(text: str) -> dict[str, str]:
  """Parses a Java properties file: `key=value`, continued lines, \\uXXXX."""
  found = {}
  text = text.replace("\r\n", "\n").replace("\\\n", "")
  for line in text.split("\n"):
    key, equals, value = line.strip().partition("=")
    if equals and not key.startswith(("#", "!")):
      value = value.strip().encode("latin-1", "backslashreplace")
      found[key.strip()] = value.decode("unicode_escape", "replace")
  return found


def _numbers(words: list[str], label: str) -> tuple[float, ...]:
  try:
    numbers = tuple(float(word) for word in words)
  except ValueError:
    numbers = (0.0,)
  if not all(0 < number < np.inf for number in numbers):
    raise UserError(f"{label} is {' '.join(words)!r}, not positive numbers.")
  return numbers


def _rotation(words: list[str], label: str) -> tuple[float, ...]:
  try:
    numbers = tuple(float(word) for word in words)
    matrix = np.array(numbers).reshape(3, 3)
  except ValueError:
    matrix = np.zeros((3, 3))
  if not abs(abs(np.linalg.det(matrix)) - 1) < 0.01:
    raise UserError(f"{label} is {' '.join(words)!r}, not a rotation.")
  return numbers
