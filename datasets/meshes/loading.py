# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From a mesh file to coloured triangles, checked, upright and normalised.

  parts = load_parts(folder, "chair/a1/model.obj", up=None)

Only parsers of plain data are used, nothing is unpickled or fetched, and what
a file refers to (.mtl, textures, .bin) is read only from inside the folder.
"""

import io
import logging
import pathlib
import urllib.parse
import warnings

from meshes.gltf_header import check_header
import numpy as np
from surfaces import Part, part_of
import trimesh

from threedim_jax.inputs.posed_images.pictures import open_picture
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.pixels import srgb_from_linear

RADIUS = 0.82  # of the sphere around an object, as of the chairs of `shapes`
# How ShapeNet and glTF have it; scans and printed parts mostly stand on z = 0.
UP = {".obj": "y", ".glb": "y", ".gltf": "y"}
_GLTF = (".glb", ".gltf")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tga", ".tif", ".webp")
# glTF looks along +z, our objects along +x, as `threedim_jax.mesh` writes them.
_WORLD_FROM_Y_UP = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
_TOO_FAR = 1e100  # squares would overflow
_LEAST_AREA = 1e-9  # over that of the box's diagonal, squared


class Resolver(trimesh.resolvers.Resolver):
  """Reads what a mesh file refers to, inside `root` alone.

  trimesh passes over what it cannot get; `faults` keeps what that was.
  """

  def __init__(self, root: pathlib.Path, place: pathlib.Path):
    self._root, self._place = root.resolve(), place
    self.faults: list[str] = []

  def get(self, name: str) -> bytes:
    try:
      path = self._find(name.strip().replace("\\", "/"))
      data = path.read_bytes()
      if path.suffix.lower() in _PICTURES:
        open_picture(data, str(path))
      return data
    except UserError as e:
      self.faults.append(f"has a texture that cannot be used: {e}")
      raise
    except Exception as e:  # whatever it is, trimesh would pass over it
      self.faults.append(
        f"refers to {name!r}, which cannot be had ({e}): put it there, or take"
        " the reference out."
      )
      raise

  def _find(self, name: str) -> pathlib.Path:
    for candidate in (name, urllib.parse.unquote(name)):
      path = (self._place / candidate).resolve()
      if not path.is_relative_to(self._root):
        raise ValueError(f"it is not in {self._root}")
      if path.is_file():
        return path
    raise FileNotFoundError("there is no such file")

  def keys(self):
    return ()

  def namespaced(self, namespace: str):
    return Resolver(self._root, self._place / namespace)

  def write(self, name: str, data) -> None:
    raise NotImplementedError


def load_parts(
  folder: pathlib.Path, path: pathlib.PurePath, up: str | None
) -> list[Part]:
  """The parts of an object: z is up, the box's centre at the origin.

  Args:
    folder: what the file and all that it refers to must lie in.
    path: of the mesh file, relative to the folder.
    up: the axis of the file that is up, "y" or "z"; None: as `UP` has it.

  Raises:
    UserError: the file is broken, the message says how.
  """
  source = folder / path
  suffix = path.suffix.lower()
  parts = _read_parts(folder, source, suffix)
  corners = np.concatenate([p.triangles for p in parts])
  if not (np.abs(corners) < _TOO_FAR).all():
    raise UserError(
      f"{source} has vertices that are not finite numbers, or above"
      f" {_TOO_FAR:g}."
    )
  middle = (corners.min((0, 1)) + corners.max((0, 1))) / 2
  radius = np.linalg.norm(corners - middle, axis=-1).max()
  corners = (corners - middle) / max(radius, np.finfo(float).tiny)
  ab, ac = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
  if np.linalg.norm(np.cross(ab, ac), axis=-1).sum() < _LEAST_AREA:
    raise UserError(f"{source} has no surface: its faces are points or lines.")
  turn = np.eye(3)
  if (up or UP.get(suffix, "z")) == "y":
    turn = _WORLD_FROM_Y_UP
  for part in parts:
    part.triangles = (part.triangles - middle) * (RADIUS / radius) @ turn.T
  return parts


def _read_parts(
  folder: pathlib.Path, source: pathlib.Path, suffix: str
) -> list[Part]:
  resolver = Resolver(folder, source.parent)
  data = _read_bytes(folder, source)
  if suffix in _GLTF:
    check_header(data, str(source))
  parts, reason = [], None
  logging.getLogger("trimesh").setLevel(logging.CRITICAL)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      scene = trimesh.load_scene(
        io.BytesIO(data),
        file_type=suffix[1:],
        resolver=resolver,
        process=False,  # would drop what is not finite, and merge corners
      )
      parts = _parts_of_scene(scene, linear=suffix in _GLTF)
  except Exception as e:  # a parser of foreign bytes may raise anything
    text = " ".join(str(e).split())
    reason = f"{type(e).__name__}: {text}" if text else type(e).__name__
  if resolver.faults:
    raise UserError(f"{source} {resolver.faults[0]}")
  if reason:
    raise UserError(f"{source} cannot be read ({reason}).")
  if not parts:
    raise UserError(f"{source} has no faces.")
  if not all(np.isfinite(p.uv).all() for p in parts if p.uv is not None):
    raise UserError(
      f"{source} has texture coordinates that are not finite numbers."
    )
  return parts


def _read_bytes(folder: pathlib.Path, source: pathlib.Path) -> bytes:
  try:
    if not source.resolve().is_relative_to(folder.resolve()):
      raise UserError(f"{source} is a link that leads out of {folder}.")
    if not source.is_file():
      raise UserError(f"{source} is not a file.")
    return source.read_bytes()
  except (OSError, RuntimeError) as e:  # a link to itself raises the latter
    raise UserError(f"{source} cannot be read ({e}).") from e


def _parts_of_scene(scene: trimesh.Scene, linear: bool) -> list[Part]:
  """A part for each mesh of each node, where the node has it."""
  parts = []
  for node in scene.graph.nodes_geometry:
    world_from_mesh, name = scene.graph[node]
    mesh = scene.geometry[name]
    if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
      continue
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
      raise ValueError("a face has a vertex that does not exist")
    part = part_of(mesh)
    R, t = world_from_mesh[:3, :3], world_from_mesh[:3, 3]
    part.triangles = part.triangles @ R.T + t
    if linear and mesh.visual.defined:
      # glTF has colours, but not textures, in proportion to the light.
      part.colors = srgb_from_linear(part.colors)
    parts.append(part)
  return parts
