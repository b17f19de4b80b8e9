# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the objects of an SRN archive, in the zip file or in a folder.

  archive = open_archive("cars", manual_dir)
  for entry in archive.objects["train"]:
    raw = archive.read(entry)

Layout: `cars_{train,val,test}/<object>/{rgb/000000.png, pose/000000.txt,
intrinsics.txt}`. Training chairs lie one folder deeper, in `chairs_2.0_train`.
All of it may lie in one more folder. Nothing is extracted to the disk.
"""

import collections
from collections.abc import Iterable
import dataclasses
import pathlib
import re
import zipfile

from zips import READ_ERRORS

from threedim_jax.runtime.errors import UserError

SPLITS = {"train": "train", "val": "validation", "test": "test"}
_WHERE = (
  "It is linked from the README of the pixelNeRF repository"
  " (github.com/sxyu/pixel-nerf, 'Getting the data')."
)
_MAX_BYTES = 64_000_000  # of an unpacked file; pictures of 128 pixels are small
_FILE = re.compile(
  r"(.+)/(rgb/\d+\.png|pose/\d+\.txt|intrinsics\.txt|intrinsics/\d+\.txt)"
)
_SAFE_ID = re.compile(r"\w[\w.-]*", re.ASCII)


@dataclasses.dataclass
class Entry:
  """An object in the archive."""

  path: str  # in the archive
  files: dict[str, str]  # `rgb/000000.png` and so on -> path in the archive

  @property
  def object_id(self) -> str:
    return self.path.rsplit("/", 1)[-1]


@dataclasses.dataclass
class RawObject:
  """The bytes of one object, for a worker to decode and check."""

  object_id: str
  path: str  # for messages: archive and path
  files: dict[str, bytes]
  unreadable: str | None = None  # what went wrong while reading


class Archive:
  """An open archive. `objects` has the objects of each split, sorted by id."""

  def __init__(self, source: pathlib.Path, kind: str):
    self.source = source
    self._zip = None if source.is_dir() else _open_zip(source)
    names = self._zip.namelist() if self._zip else _list_folder(source, kind)
    self.objects = _find_objects(source, kind, names)

  def read(self, entry: Entry) -> RawObject:
    raw = RawObject(entry.object_id, f"{self.source}:{entry.path}", {})
    for file, name in entry.files.items():
      try:
        raw.files[file] = self._read(name)
      except READ_ERRORS as e:
        raw.unreadable = (
          f"{raw.path}/{file} cannot be read ({e}): the archive is damaged,"
          " get it again."
        )
    return raw

  def _read(self, name: str) -> bytes:
    if self._zip:
      info = self._zip.getinfo(name)
      if info.file_size > _MAX_BYTES:
        raise zipfile.BadZipFile(
          f"it would take {info.file_size / 1e6:.0f} MB unpacked"
        )
      with self._zip.open(info) as file:
        return file.read(_MAX_BYTES)
    return (self.source / name).read_bytes()


def open_archive(kind: str, manual_dir: pathlib.Path) -> Archive:
  """Opens the archive of `kind` (cars or chairs) in `manual_dir`.

  This accepts `srn_cars.zip`, the folder that it unpacks to, and `manual_dir`
  itself as that folder. It opens `cars_train.zip` only to raise an error that
  this is the wrong archive.

  Raises:
    UserError: there is no archive, it is cut off, or it is another archive.
  """
  stem = f"srn_{kind}"
  for name in (f"{stem}.zip", stem, ".", f"{kind}_train.zip", f"{kind}.zip"):
    source = manual_dir / name
    if source.is_file() or (source.is_dir() and _split_folders(source, kind)):
      return Archive(source, kind)
  raise UserError(
    f"no {stem}.zip and no folder {kind}_train, {kind}_val or {kind}_test in"
    f" {manual_dir}: put {stem}.zip there as it is, or name its place with"
    f" --manual_dir. {_WHERE}"
  )


def _open_zip(source: pathlib.Path) -> zipfile.ZipFile:
  try:
    return zipfile.ZipFile(source)
  except (zipfile.BadZipFile, OSError) as e:
    raise UserError(
      f"{source} is not a complete zip file ({e}; it has"
      f" {source.stat().st_size} bytes): the download was probably cut off,"
      f" get it again. {_WHERE}"
    ) from e


def _split_folders(source: pathlib.Path, kind: str) -> list[pathlib.Path]:
  folders = [
    source.glob(f"{up}{kind}_{s}/") for s in SPLITS for up in ("", "*/")
  ]
  return [path for paths in folders for path in paths]


def _list_folder(source: pathlib.Path, kind: str) -> Iterable[str]:
  for folder in _split_folders(source, kind):
    for path in folder.rglob("*.*"):
      yield path.relative_to(source).as_posix()


def _find_objects(
  source: pathlib.Path, kind: str, names: Iterable[str]
) -> dict[str, list[Entry]]:
  found = {split: {} for split in SPLITS.values()}
  for name in names:
    parts = name.split("/")
    _check_path(source, name)
    split = next((s for s in SPLITS if f"{kind}_{s}" in parts), None)
    match = _FILE.fullmatch(name)
    if split is None or match is None:
      continue  # also the ._000000.png and .DS_Store of macOS
    path, file = match.groups()
    if file.startswith("intrinsics/"):
      raise UserError(
        f"{source} has intrinsics for every view ({name}): this is the other"
        f" archive of {kind} that circulates, with about 250 views an object"
        f" and other cameras. The benchmarks use srn_{kind}.zip, with one"
        f" intrinsics.txt an object. {_WHERE}"
      )
    entry = found[SPLITS[split]].setdefault(path, Entry(path, {}))
    entry.files[file] = name
  found = {s: _sorted_objects(source, o) for s, o in found.items() if o}
  if not found:
    raise UserError(
      f"{source} holds no objects in {kind}_train, {kind}_val or"
      f" {kind}_test: it is another archive than srn_{kind}.zip. {_WHERE}"
    )
  return found


def _sorted_objects(source, objects: dict[str, Entry]) -> list[Entry]:
  """Sorts entries by id. If any are in chairs_2.0_train, drops all others."""
  nested = [e for p, e in objects.items() if "chairs_2.0_train" in p.split("/")]
  entries = sorted(nested or objects.values(), key=lambda e: e.object_id)
  ids = collections.Counter(e.object_id for e in entries)
  for entry in entries:
    # Ids become names of folders.
    if ids[entry.object_id] > 1 or not _SAFE_ID.fullmatch(entry.object_id):
      raise UserError(
        f"{source}: {entry.path}: every object of a split needs a name of its"
        " own, made of letters, digits, '_', '-' and '.'."
      )
  return entries


def _check_path(source: pathlib.Path, name: str) -> None:
  parts = name.replace("\\", "/").split("/")
  if ".." in parts or parts[0] == "" or ":" in parts[0]:
    raise UserError(
      f"{source} holds the unsafe path {name!r}: it is not the archive that"
      f" it seems to be. {_WHERE}"
    )
