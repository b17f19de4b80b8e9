# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads .glb and .gltf files, version 2.0.

  parts = read_gltf(data, refers)

This reads the default scene in its rest state: skins and morph targets are
applied, animations are not played. Points and lines are left out. A table in
`datasets/README.md` says how each feature and extension is treated.
"""

from collections.abc import Iterator

from meshes.gltf_accessors import GltfFile
from meshes.gltf_extensions import refuse
from meshes.gltf_materials import read_material
from meshes.looks import GREY, Look, TextureUse
from meshes.references import References
import numpy as np
from surfaces import Part

from threedim_jax.views.pixels import linear_from_srgb

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_LINES_AND_POINTS = (0, 1, 2, 3)
_NO_MATERIAL = Look(
  linear=True,
  default_color=(float(linear_from_srgb(np.array(GREY))),) * 3,
)
_MAX_INSTANCES = 100_000
_MAX_REPEATED_FACES = 2_000_000  # in second and further copies of meshes
_NO_GEOMETRY = (
  "KHR_draco_mesh_compression",
  "KHR_gaussian_splatting",
  "EXT_primitive_voxels",
)


def read_gltf(data: bytes, refers: References) -> list[Part]:
  """Reads the parts of a file: one for each primitive of each node.

  Raises:
    UserError: the file needs a feature that is not supported.
    ValueError: the file is broken. Parsing may raise other errors, too.
  """
  file = GltfFile(data, refers)
  worlds = _world_from_node(file)
  looks: dict[int, Look | None] = {}
  parts, drawn, num_repeated = [], set(), 0
  for index, world_from_node in worlds.items():
    node = file.item("nodes", index)
    if "mesh" not in node or world_from_node is None:
      continue
    mesh = file.item("meshes", node["mesh"])
    for primitive in mesh["primitives"]:
      for world in _instances(file, node, world_from_node):
        part = _part(file, node, mesh, primitive, world, worlds, looks)
        if part is None:
          continue
        parts.append(part)
        if id(primitive) in drawn:
          num_repeated += len(part.triangles)
        drawn.add(id(primitive))
        if num_repeated > _MAX_REPEATED_FACES:
          raise ValueError(f"it repeats more than {_MAX_REPEATED_FACES} faces")
  return parts


def _world_from_node(file: GltfFile) -> dict[int, np.ndarray | None]:
  """Returns world_from_node [4, 4] of the scene's nodes; None if hidden."""
  scenes = file.header.get("scenes")
  if scenes:
    roots = file.item("scenes", file.header.get("scene", 0)).get("nodes", ())
  else:
    nodes = file.header.get("nodes", ())
    children = {c for node in nodes for c in node.get("children", ())}
    roots = [i for i in range(len(nodes)) if i not in children]
  worlds: dict[int, np.ndarray | None] = {}
  todo = [(root, np.eye(4), True) for root in roots]
  while todo:
    index, parent, shown = todo.pop()
    node = file.item("nodes", index)
    if index in worlds:
      raise ValueError(f"node {index} has several parents")
    visibility = node.get("extensions", {}).get("KHR_node_visibility", {})
    shown = shown and visibility.get("visible", True)
    world = parent @ _parent_from_node(node, index)
    worlds[index] = world if shown else None
    todo += [(child, world, shown) for child in node.get("children", ())]
  return dict(sorted(worlds.items()))


def _parent_from_node(node: dict, index: int) -> np.ndarray:
  if "matrix" in node:
    return np.array(node["matrix"], np.float64).reshape(4, 4).T
  return _place(
    f"node {index}",
    np.array(node.get("translation", (0, 0, 0)), np.float64)[None],
    np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)[None],
    np.array(node.get("scale", (1, 1, 1)), np.float64)[None],
  )[0]


def _place(label: str, translation, rotation, scale) -> np.ndarray:
  """Makes matrices [N, 4, 4] from translations, quaternions xyzw and scales.

  Raises:
    ValueError: a quaternion is zero; `label` names its owner.
  """
  length = np.linalg.norm(rotation, axis=-1, keepdims=True)
  if not length.all():
    raise ValueError(f"{label} has the rotation 0 0 0 0")
  x, y, z, w = (rotation / length).T
  matrix = np.tile(np.eye(4), (len(translation), 1, 1))
  rows = [
    [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
    [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
    [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
  ]
  matrix[:, :3, :3] = np.moveaxis(np.array(rows), 2, 0) * scale[:, None]
  matrix[:, :3, 3] = translation
  return matrix


def _instances(file: GltfFile, node: dict, world) -> Iterator[np.ndarray]:
  """Yields world_from_mesh [4, 4] of instances (EXT_mesh_gpu_instancing)."""
  instancing = node.get("extensions", {}).get("EXT_mesh_gpu_instancing")
  if instancing is None:
    yield world
    return
  attributes = instancing["attributes"]
  values = {k: file.accessor(i) for k, i in attributes.items()}
  count = max(len(v) for v in values.values())
  if count > _MAX_INSTANCES:
    raise ValueError(f"a mesh has {count} instances")
  defaults = {
    "TRANSLATION": np.zeros((count, 3)),
    "ROTATION": np.tile([0.0, 0, 0, 1], (count, 1)),
    "SCALE": np.ones((count, 3)),
  }
  places = _place(
    "an instance", *(values.get(k, d) for k, d in defaults.items())
  )
  yield from world @ places


def _part(
  file: GltfFile, node: dict, mesh: dict, primitive: dict, world, worlds, looks
) -> Part | None:
  """Reads one primitive, placed in the world; None if nothing is visible."""
  mode = primitive.get("mode", _TRIANGLES)
  for name in _NO_GEOMETRY:
    if name in primitive.get("extensions", {}) and not _has_bytes(
      file, primitive
    ):
      refuse(file.refers.label, name)
  if mode in _LINES_AND_POINTS:
    return None
  attributes = _morphed(file, node, mesh, primitive)
  if "POSITION" not in attributes:
    return None  # as the standard says
  positions = attributes["POSITION"].astype(np.float64)
  if "skin" in node:
    positions, turned = _skinned(file, node["skin"], attributes, worlds)
  else:
    positions = positions @ world[:3, :3].T + world[:3, 3]
    turned = np.linalg.det(world[:3, :3]) < 0
  faces = _faces(file, primitive, mode, len(positions))
  if turned:  # mirroring flips faces, and the standard flips them back
    faces = faces[:, ::-1]
  look = _NO_MATERIAL
  if "material" in primitive:
    index = primitive["material"]
    if index not in looks:
      looks[index] = read_material(file, index)
    look = looks[index]
  if look is None or not len(faces):
    return None
  return _painted(look, positions, attributes, faces)


def _has_bytes(file: GltfFile, primitive: dict) -> bool:
  """Returns whether the file also has the positions uncompressed."""
  position = primitive["attributes"].get("POSITION")
  if position is None:
    return False
  accessor = file.item("accessors", position)
  return "bufferView" in accessor or "sparse" in accessor


def _faces(file: GltfFile, primitive: dict, mode: int, count: int):
  """Returns the vertex indices of the triangles' corners, int [F, 3]."""
  if "indices" in primitive:
    indices = file.accessor(primitive["indices"])[:, 0].astype(np.int64)
  else:
    indices = np.arange(count)
  if len(indices) and indices.max() >= count:
    raise ValueError("a face has a vertex that does not exist")
  if mode == _TRIANGLES:
    return indices[: len(indices) // 3 * 3].reshape(-1, 3)
  n = np.arange(max(0, len(indices) - 2))
  if mode == _STRIP:  # every other triangle is turned over
    odd = n % 2
    return indices[np.stack([n, n + 1 + odd, n + 2 - odd], -1)]
  if mode == _FAN:
    return indices[np.stack([n + 1, n + 2, 0 * n], -1)]
  raise ValueError(f"a primitive has the mode {mode!r}")


def _morphed(file: GltfFile, node: dict, mesh: dict, primitive: dict) -> dict:
  """Returns the attributes of the vertices, with morph targets added."""
  attributes = {
    k: file.accessor(i)
    for k, i in primitive["attributes"].items()
    if k.split("_")[0] in ("POSITION", "TEXCOORD", "COLOR", "JOINTS", "WEIGHTS")
  }
  # Integer colours are fractions, even if the file does not say "normalized".
  for key, values in attributes.items():
    if key.startswith("COLOR") and values.dtype.kind == "u":
      attributes[key] = values / np.iinfo(values.dtype).max
  targets = primitive.get("targets", ())
  weights = node.get("weights", mesh.get("weights", [0] * len(targets)))
  if len(weights) != len(targets):
    raise ValueError(
      f"a mesh has {len(targets)} morph targets and {len(weights)} weights"
    )
  for target, weight in zip(targets, weights, strict=True):
    for key, index in target.items():
      if weight and key in attributes:
        change = weight * file.accessor(index).astype(np.float64)
        wide = np.zeros(attributes[key].shape)
        wide[:, : change.shape[1]] = change
        attributes[key] = attributes[key] + wide
  counts = {len(values) for values in attributes.values()}
  if len(counts) > 1:
    raise ValueError("the attributes of a primitive have different counts")
  return attributes


def _skinned(file: GltfFile, index: int, attributes: dict, worlds):
  """Returns positions [V, 3] moved by joints, and whether this mirrors them."""
  skin = file.item("skins", index)
  joints = skin["joints"]
  matrices = np.tile(np.eye(4), (len(joints), 1, 1))
  if "inverseBindMatrices" in skin:
    bind = file.accessor(skin["inverseBindMatrices"])
    if len(bind) < len(joints):
      raise ValueError(f"skin {index} has too few inverse bind matrices")
    matrices = bind[: len(joints)].astype(np.float64)
  for i, joint in enumerate(joints):
    if joint not in worlds:
      raise ValueError(f"joint {joint} of skin {index} is not in the scene")
    place = worlds[joint]
    if place is None:
      raise ValueError(f"joint {joint} of skin {index} is hidden")
    matrices[i] = place @ matrices[i]
  position = attributes["POSITION"].astype(np.float64)
  total = np.zeros((len(position), 1))
  moved = np.zeros((len(position), 3))
  for key in sorted(k for k in attributes if k.startswith("WEIGHTS")):
    weights = attributes[key].astype(np.float64)
    used = attributes[key.replace("WEIGHTS", "JOINTS")].astype(np.int64)
    used = np.where(weights > 0, used, 0)
    if used.max(initial=0) >= len(joints):
      raise ValueError(f"skin {index} has no joint {used.max()}")
    for k in range(weights.shape[1]):
      M = matrices[used[:, k]]
      to = np.einsum("vij,vj->vi", M[:, :3, :3], position) + M[:, :3, 3]
      moved += weights[:, k : k + 1] * to
      total += weights[:, k : k + 1]
  if (total <= 0).any():
    raise ValueError(f"a vertex of skin {index} has no weight")
  return moved / total, np.linalg.det(matrices[0, :3, :3]) < 0


def _painted(look: Look, positions, attributes: dict, faces) -> Part:
  colors = np.ones((len(faces), 3, 3)) * look.default_color
  alpha = np.ones((len(faces), 3))
  if "COLOR_0" in attributes:
    rgba = attributes["COLOR_0"][faces].astype(np.float64)
    colors = rgba[..., :3]
    if rgba.shape[-1] == 4:
      alpha = rgba[..., 3]

  def coordinates(use: TextureUse) -> np.ndarray:
    """Returns coordinates [F, 3, 2] with v upwards; zeros if missing."""
    uv = attributes.get(f"TEXCOORD_{use.set}")
    if uv is None:
      uv = np.zeros((len(positions), 2))
    uv = use.transform(uv[faces].astype(np.float64))
    return np.stack([uv[..., 0], 1 - uv[..., 1]], -1)

  return look.part(positions[faces], colors, alpha, coordinates)
