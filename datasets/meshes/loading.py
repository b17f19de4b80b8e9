# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Loads a mesh file as coloured triangles: checked, upright and of one size.

  loaded = load(source, "chair/a1/model.obj")
  loaded.parts, loaded.notes

Nothing is unpickled or downloaded. Files that a mesh file refers to are read
only from its own folder or zip file.
"""

import dataclasses
import pathlib

from meshes.catalogue import Entry
from meshes.gltf import read_gltf
from meshes.obj import read_obj
from meshes.off import read_off
from meshes.orientation import Orientation
from meshes.ply import read_ply
from meshes.references import References
from meshes.sources import Folder, Zip
from meshes.stl import read_stl
import numpy as np
from surfaces import Part, visible_points

from threedim_jax.runtime.errors import UserError

RADIUS = 0.82  # of the sphere around an object, as for the chairs of `shapes`
_TOO_FAR = 1e100  # squares of larger coordinates would overflow
_LEAST_AREA = 1e-9  # of the surface of an object inside the unit sphere


@dataclasses.dataclass
class Loaded:
  """An object, and notes on files that could not be used, or were guessed."""

  parts: list[Part]
  notes: list[str]


def load(
  source: Folder | Zip,
  path: pathlib.PurePath,
  orientation: Orientation = Orientation(),
  entry: Entry | None = None,
) -> Loaded:
  """Loads an object with z up, its front towards +x, and radius `RADIUS`.

  The centre of the box around the visible points is at the origin.

  Args:
    source: a folder or zip file, which holds all files that the mesh needs.
    path: of the mesh file, relative to the source.
    orientation: the axes of the file.
    entry: the file's entry in the catalogue of its zip file, which has its
      rotation and size.

  Raises:
    UserError: says what is wrong with the file.
  """
  refers = References(source, path)
  parts = _read(source, path, refers)
  corners = np.concatenate([p.triangles for p in parts])
  if not (np.abs(corners) < _TOO_FAR).all():
    raise UserError(
      f"{refers.label} has vertices that are not finite numbers, or above"
      f" {_TOO_FAR:g}."
    )
  world_from_file = orientation.world_from_file(path)
  if entry is not None:
    world_from_file = world_from_file @ entry.scaled_rotation(corners)
  is_mirror = np.linalg.det(world_from_file) < 0
  for part in parts:
    part.triangles = part.triangles @ world_from_file.T
    if is_mirror:
      part.triangles = part.triangles[:, ::-1]
  _normalise(parts, refers.label)
  return Loaded(parts, refers.notes)


def _read(
  source: Folder | Zip, path: pathlib.PurePath, refers: References
) -> list[Part]:
  """Reads the parts of a file, in the axes and units of the file.

  Raises:
    UserError: the file cannot be read, or it has no visible faces.
  """
  data = source.read(path)
  suffix = path.suffix.lower()
  try:
    if suffix == ".obj":
      parts = read_obj(data, refers)
    elif suffix == ".ply":
      parts = read_ply(data, refers)
    elif suffix in (".glb", ".gltf"):
      parts = read_gltf(data, refers)
    elif suffix == ".off":
      parts = read_off(data)
    else:
      parts = read_stl(data)
  except UserError:
    raise
  except Exception as e:  # parsers raise many types for broken bytes
    text = " ".join(str(e).split())[:200]
    reason = f"{type(e).__name__}: {text}" if text else type(e).__name__
    raise UserError(f"{refers.label} cannot be read ({reason}).") from e
  parts = [p for p in parts if len(p.triangles)]
  if not parts:
    raise UserError(f"{refers.label} has no faces that are seen.")
  coordinates = [p.uv for p in parts] + [p.glow_uv for p in parts]
  if not all(np.isfinite(uv).all() for uv in coordinates if uv is not None):
    raise UserError(
      f"{refers.label} has texture coordinates that are not finite numbers."
    )
  return parts


def _normalise(parts: list[Part], label: str) -> None:
  """Centres the parts and scales them to `RADIUS`, in place."""
  points = np.concatenate([visible_points(p) for p in parts])
  if not len(points):
    raise UserError(f"{label} is transparent everywhere.")
  middle = (points.min(0) + points.max(0)) / 2
  radius = np.linalg.norm(points - middle, axis=-1).max()
  area = 0.0
  for part in parts:
    part.triangles = (part.triangles - middle) / max(radius, 1e-300)
    a, b, c = np.moveaxis(part.triangles, 1, 0)
    area += np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum()
    part.triangles *= RADIUS
  if not area >= _LEAST_AREA:
    raise UserError(f"{label} has no surface: its faces are points or lines.")
