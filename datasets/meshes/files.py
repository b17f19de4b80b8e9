# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the mesh files of a folder and names and splits their objects.

  files = find_meshes(folder)
  splits = split_objects(files)    # {"train": [...], "validation": ..., ...}

A file is an object, its id the path: `chair/a1/models/model_normalized.obj` is
`chair_a1`, since the generic names at the end say nothing, and `chair` is its
category. The split of an object depends on its id alone.
"""

from collections.abc import Sequence
import dataclasses
import hashlib
import os
import pathlib

from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.samples import folder_name

SUFFIXES = (".obj", ".glb", ".gltf", ".ply", ".off", ".stl")
SPLITS = ("train", "validation", "test")
# Names at the end of a path that do not tell objects apart.
_GENERIC = ("model", "models", "model_normalized", "mesh", "meshes")
_TRAIN, _VALIDATION = 0.90, 0.05  # of the objects; the rest is for testing


@dataclasses.dataclass(frozen=True)
class MeshFile:
  """One mesh file: `path` is relative to the folder that was searched."""

  path: pathlib.PurePath
  size: int  # bytes
  object_id: str
  category: str | None  # the first folder, where it holds several objects


def find_meshes(folder: pathlib.Path) -> list[MeshFile]:
  """The mesh files below a folder, sorted by object id.

  Hidden files are left out, folders that are links are not entered.

  Raises:
    UserError: there is none, two of them would be the same object, or a folder
      cannot be listed.
  """
  if not folder.is_dir():
    raise UserError(
      f"--from={folder} is not a folder: name the one with the meshes."
    )
  found = {}
  for parent, folders, names in os.walk(folder, onerror=_stop):
    folders[:] = [name for name in folders if not name.startswith(".")]
    for name in names:
      path = pathlib.Path(parent, name)
      if path.suffix.lower() in SUFFIXES and not name.startswith("."):
        file = _mesh_file(folder, path)
        other = found.setdefault(file.object_id, file)
        if other is not file:
          first, second = sorted((str(other.path), str(file.path)))
          raise UserError(
            f"{first} and {second} in {folder} would both be the object"
            f" {file.object_id!r}: rename or remove one of them."
          )
  if not found:
    raise UserError(
      f"{folder} holds no mesh: put files in there that end with"
      f" {', '.join(SUFFIXES)}, or name another folder with --from."
    )
  return [found[object_id] for object_id in sorted(found)]


def _stop(e: OSError) -> None:
  """`os.walk` would leave the folder out."""
  raise UserError(f"{e.filename} cannot be listed ({e.strerror}).") from e


def _mesh_file(folder: pathlib.Path, path: pathlib.Path) -> MeshFile:
  relative = path.relative_to(folder)
  parts = [*relative.parts[:-1], relative.stem]
  while len(parts) > 1 and parts[-1].lower() in _GENERIC:
    parts.pop()
  return MeshFile(
    path=relative,
    size=path.lstat().st_size,
    object_id=folder_name("_".join(parts)),
    category=parts[0] if len(parts) > 1 else None,
  )


def split_objects(files: Sequence[MeshFile]) -> dict[str, list[MeshFile]]:
  """90% for training, 5% each to validate and test, at least one of each.

  With fewer than three files every split has all of them.
  """
  if len(files) < len(SPLITS):
    return {split: list(files) for split in SPLITS}
  splits = {split: [] for split in SPLITS}
  for file in sorted(files, key=lambda f: _fraction(f.object_id)):
    place = _fraction(file.object_id)
    after_train = place >= _TRAIN
    after_validation = place >= _TRAIN + _VALIDATION
    splits[SPLITS[after_train + after_validation]].append(file)
  for split in SPLITS:
    if not splits[split]:
      splits[split].append(max(splits.values(), key=len).pop())
  return {s: sorted(fs, key=lambda f: f.object_id) for s, fs in splits.items()}


def id_digest(object_id: str) -> bytes:
  """Bytes that are the same for an id anywhere, and look random."""
  return hashlib.sha256(object_id.encode()).digest()


def _fraction(object_id: str) -> float:
  return int.from_bytes(id_digest(object_id)[:8]) / 2**64
