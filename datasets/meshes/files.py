# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the mesh files of a folder, names their objects and splits them.

  found = find_meshes(folder)            # the zip files in it are read too
  splits = split_objects(found.files)    # {"train": [...], "validation": ...}

Each file is one object. The object's id is the path of the file, without
generic names at the end: `chair/a1/models/model_normalized.obj` is the object
`chair_a1` of the category `chair`. A zip file counts as a folder. Models of a
furniture library (.sh3f) have the names and categories of its catalogue. The
split of an object depends only on its id, or on what the paths of several
variants of one model share (`raw_model.obj` and `normalized_model.obj`).
"""

import collections
from collections.abc import Iterator, Sequence
import dataclasses
import difflib
import hashlib
import pathlib
import re

from meshes.catalogue import Entry, read_catalogue
from meshes.sources import ZIP_SUFFIXES, Zip, open_source

from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.samples import folder_name

SUFFIXES = (".obj", ".glb", ".gltf", ".ply", ".off", ".stl")
SPLITS = ("train", "validation", "test")
# Names at the end of a path that many objects have.
_GENERIC = ("model", "models", "model_normalized", "mesh", "meshes")
# Words in the names of several files of one model, as 3D-FUTURE, simulators and
# game engines have them.
_VARIANTS = re.compile(
  r"(?<![^\W_])(raw|normali[sz]ed|visual|simplified|decimated"
  r"|(low|high)[_-]?poly|(collision|collider|vhacd|lod)[_-]?\d*)(?![^\W_])",
  re.IGNORECASE,
)
# Files that may hold models which are not read.
_NOT_READ = (
  *(".3ds", ".3mf", ".abc", ".blend", ".c4d", ".dae", ".fbx", ".iges", ".igs"),
  *(".lwo", ".ma", ".max", ".mb", ".skp", ".step", ".stp", ".usd", ".usda"),
  *(".usdc", ".usdz", ".wrl", ".x3d"),
  *(".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zst"),
)
_TRAIN, _VALIDATION = 0.90, 0.05  # of the objects; the rest is for testing


@dataclasses.dataclass(frozen=True)
class MeshFile:
  """One mesh file.

  Attributes:
    path: relative to the folder or the zip file.
    size: in bytes.
    object_id: made from the path or the catalogue, as described above.
    category: the first folder of the path, or from the catalogue.
    zip_path: of the zip file, relative to the folder; None if there is none.
    entry: the file's entry in the catalogue of the zip file, if any.
    model: what the paths of several variants of one model share; None if the
      file is the only one of its model.
  """

  path: pathlib.PurePath
  size: int
  object_id: str
  category: str | None
  zip_path: pathlib.PurePath | None = None
  entry: Entry | None = None
  model: str | None = None

  @property
  def label(self) -> str:
    return str(
      self.path if self.zip_path is None else self.zip_path / self.path
    )


@dataclasses.dataclass(frozen=True)
class Found:
  """Mesh files, sorted by object id.

  `left_out` has a sentence for each model that is only in a zip file or only in
  its catalogue, and for each format that is not read.
  """

  files: list[MeshFile]
  left_out: list[str]


def find_meshes(source: pathlib.Path) -> Found:
  """Finds the mesh files below a folder and in its zip files.

  Hidden files and linked folders are left out.

  Args:
    source: a folder, or a zip file.

  Raises:
    UserError: there is none, two of them would be the same object, a zip file
      is damaged, or a folder cannot be listed.
  """
  folder, only = root_of(source)
  found: dict[str, MeshFile] = {}
  left_out: list[str] = []
  unread: dict[str, list[str]] = collections.defaultdict(list)
  for file in _mesh_files(folder, only, left_out, unread):
    other = found.setdefault(file.object_id, file)
    if other is not file:
      first, second = sorted((other.label, file.label))
      raise UserError(
        f"{first} and {second} in {folder} would both be the object"
        f" {file.object_id!r}: rename or remove one of them."
      )
  not_read = [_not_read(suffix, unread[suffix]) for suffix in sorted(unread)]
  if not found:
    raise UserError(
      f"{source} holds no mesh: put files in there that end with"
      f" {', '.join(SUFFIXES)}, or zip files of them, or name another folder"
      " with --from." + "".join(f" {sentence}" for sentence in not_read)
    )
  num_files = collections.Counter(file.model for file in found.values())
  files = [
    file if num_files[file.model] > 1 else dataclasses.replace(file, model=None)
    for _, file in sorted(found.items())
  ]
  return Found(files, left_out + not_read)


def _not_read(suffix: str, labels: list[str]) -> str:
  """Makes a sentence about all files of a suffix."""
  where = " in zip files" if suffix in ZIP_SUFFIXES else ""
  count = len(labels)
  return f"{suffix} files{where}: {count} not read, the first is {min(labels)}."


def root_of(
  source: pathlib.Path,
) -> tuple[pathlib.Path, pathlib.PurePath | None]:
  """Splits `source` into a folder and, if `source` is a zip file, its name.

  Raises:
    UserError: `source` is neither a folder nor a zip file.
  """
  if source.is_dir():
    return source, None
  if source.is_file() and source.suffix.lower() in ZIP_SUFFIXES:
    return source.parent, pathlib.PurePath(source.name)
  raise UserError(
    f"--from={source} is neither a folder nor a zip file: name the one with"
    " the meshes."
  )


def _mesh_files(
  folder: pathlib.Path,
  only: pathlib.PurePath | None,
  left_out: list[str],
  unread: dict[str, list[str]],
) -> Iterator[MeshFile]:
  """Yields the mesh files, and names other models in `left_out` and `unread`.

  `unread` has the labels of the files of each suffix.
  """
  if only is not None:
    yield from _in_zip(folder, only, left_out, unread, prefix=())
    return
  for path, size in open_source(folder, None).files():
    if path.suffix.lower() in SUFFIXES:
      yield _mesh_file(path, path.parts, size)
    elif path.suffix.lower() in ZIP_SUFFIXES:
      prefix = (*path.parts[:-1], path.stem)
      yield from _in_zip(folder, path, left_out, unread, prefix)
    elif path.suffix.lower() in _NOT_READ:
      unread[path.suffix.lower()].append(str(path))


def _in_zip(
  folder: pathlib.Path,
  zip_path: pathlib.PurePath,
  left_out: list[str],
  unread: dict[str, list[str]],
  prefix: tuple[str, ...],
) -> Iterator[MeshFile]:
  source = open_source(folder, zip_path)
  assert isinstance(source, Zip)
  entries = read_catalogue(source)
  missing = set(entries or ())
  for path, size in source.files():
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
      # What is in the catalogue is named below.
      if suffix in (*_NOT_READ, *ZIP_SUFFIXES) and path not in missing:
        unread[suffix].append(str(zip_path / path))
      continue
    if entries is None:
      parts = path.parts
      # A zip file often holds one folder of its own name.
      same = prefix and len(parts) > 1 and parts[0] == prefix[-1]
      file = _mesh_file(path, (*prefix[: -1 if same else None], *parts), size)
      yield dataclasses.replace(file, zip_path=zip_path)
    elif path in entries:
      missing.discard(path)
      yield _catalogued(path, size, entries[path], zip_path, prefix)
    else:
      left_out.append(f"{zip_path / path} is not in the catalogue.")
  for path in sorted(missing):
    what = "is not in the zip file"
    if path.suffix.lower() not in SUFFIXES:
      what = f"has a format that is not read ({', '.join(SUFFIXES)} are)"
    left_out.append(f"{zip_path / path} of the catalogue {what}.")


def _catalogued(
  path: pathlib.PurePath,
  size: int,
  entry: Entry,
  zip_path: pathlib.PurePath,
  prefix: tuple[str, ...],
) -> MeshFile:
  """Makes a `MeshFile` whose id is its catalogue name, then its file name."""
  name = re.sub(r"[^\w.-]+", "-", entry.name).strip("-._")
  return MeshFile(
    path=path,
    size=size,
    object_id=folder_name("_".join(filter(None, (*prefix, name, path.stem)))),
    category=entry.category or None,
    zip_path=zip_path,
    entry=entry,
  )


def _mesh_file(
  path: pathlib.PurePath, parts: Sequence[str], size: int
) -> MeshFile:
  name = _VARIANTS.sub("", path.stem).strip("_-. ")
  name = "" if name.lower() in _GENERIC else name
  model = f"{'/'.join(parts[:-1])}/{name}"
  parts = [*parts[:-1], path.stem]
  while len(parts) > 1 and parts[-1].lower() in _GENERIC:
    parts.pop()
  return MeshFile(
    path=path,
    size=size,
    object_id=folder_name("_".join(parts)),
    category=parts[0] if len(parts) > 1 else None,
    model=model,
  )


def split_objects(
  files: Sequence[MeshFile], test_ids: frozenset[str] = frozenset()
) -> dict[str, list[MeshFile]]:
  """Splits objects: 90% train, 5% validation, 5% test, at least one in each.

  Variants of one model come into one split, unless another one would be empty.
  With fewer than three files, every split has all of them. If `test_ids` is not
  empty, the test split has exactly these objects, and of the others 5% are for
  validation.
  """
  if len(files) < len(SPLITS):
    return {split: list(files) for split in SPLITS}
  splits = {split: [] for split in SPLITS}
  for file in sorted(files, key=lambda f: _fraction(f.model or f.object_id)):
    place = _fraction(file.model or file.object_id)
    if test_ids:
      is_test = file.object_id in test_ids
      split = "validation" if place >= 1 - _VALIDATION else "train"
    else:
      is_test = place >= _TRAIN + _VALIDATION
      split = "validation" if place >= _TRAIN else "train"
    splits["test" if is_test else split].append(file)
  # An empty split gets an object of the largest one, but not of a listed one.
  givers = [splits[s] for s in SPLITS if not (test_ids and s == "test")]
  for split in SPLITS:
    if not splits[split]:
      splits[split].append(max(givers, key=len).pop())
  return {s: sorted(fs, key=lambda f: f.object_id) for s, fs in splits.items()}


def read_ids(file: pathlib.Path, files: Sequence[MeshFile]) -> frozenset[str]:
  """Reads the ids of the objects for testing: a text file, one id on a line.

  Raises:
    UserError: the file cannot be read or has no id, an id is not that of an
      object, or no object is left for training.
  """
  try:
    lines = file.read_text("utf-8-sig").splitlines()
  except (OSError, UnicodeDecodeError) as e:
    raise UserError(f"{file} cannot be read as text ({e}).") from e
  ids = frozenset(filter(None, map(str.strip, lines)))
  if not ids:
    raise UserError(f"{file} has no object id: write one on each line.")
  known = {f.object_id for f in files}
  if unknown := sorted(ids - known):
    near = difflib.get_close_matches(unknown[0], known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UserError(
      f"{file}: there is no object with the id {unknown[0]!r}"
      f" ({len(unknown)} of {len(ids)} ids are unknown).{hint}"
    )
  if len(known - ids) < 2:
    raise UserError(
      f"{file} leaves {len(known - ids)} object(s) for training and validation;"
      " they need at least 2."
    )
  return ids


def id_digest(object_id: str) -> bytes:
  """Returns pseudorandom bytes that depend only on the id."""
  return hashlib.sha256(object_id.encode()).digest()


def _fraction(object_id: str) -> float:
  return int.from_bytes(id_digest(object_id)[:8]) / 2**64
