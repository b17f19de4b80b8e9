# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads files from a folder, or from a zip file in that folder.

  source = open_source(folder, zip_path)    # zip_path None: the folder itself
  for path, size in source.files(): ...
  data = source.read(path)
  path = source.find("../images/wood.png", path)    # that a file refers to
  path = find_below(source, folder, "wood.png")     # wherever it lies in there

Nothing outside the folder or the zip file is read. Nothing is written: members
of zip files are decompressed in memory, up to a limit.
"""

from collections.abc import Iterator
import functools
import os
import pathlib
import posixpath
import urllib.parse
import zipfile

from zips import READ_ERRORS

from threedim_jax.runtime.errors import UserError

ZIP_SUFFIXES = (".zip", ".sh3f")
# Limits on the unpacked size of a zip file's member: in general, and if it
# shrinks so much that it may be a zip bomb.
_MAX_BYTES = 2_000_000_000
_MAX_BYTES_OF_A_BOMB, _BOMB_RATIO = 64_000_000, 100


class NotHere(Exception):
  """A file that a mesh file refers to is missing, or must not be read."""


class Folder:
  """The files below a folder."""

  def __init__(self, root: pathlib.Path):
    self.name = str(root)
    self._root = root

  def files(
    self, below: pathlib.PurePath = pathlib.PurePath()
  ) -> Iterator[tuple[pathlib.PurePath, int]]:
    """Yields paths relative to the folder, and sizes in bytes.

    Hidden files and folders are left out, and so are linked folders.

    Args:
      below: only files in this folder, which is relative to the folder.
    """
    for parent, folders, names in os.walk(self._root / below, onerror=_stop):
      folders[:] = [name for name in folders if not name.startswith(".")]
      for name in names:
        path = pathlib.Path(parent, name)
        if not name.startswith("."):
          yield path.relative_to(self._root), path.lstat().st_size

  def read(self, path: pathlib.PurePath) -> bytes:
    """Reads a file.

    Raises:
      UserError: it is not a file, or a link that leads out of the folder.
    """
    file = self._root / path
    try:
      if not file.resolve().is_relative_to(self._root.resolve()):
        raise UserError(f"{file} is a link that leads out of {self._root}.")
      if not file.is_file():
        raise UserError(f"{file} is not a file.")
      return file.read_bytes()
    except (OSError, RuntimeError) as e:  # a link to itself raises the latter
      raise UserError(f"{file} cannot be read ({e}).") from e

  def find(self, name: str, path: pathlib.PurePath) -> pathlib.PurePath:
    """Finds the file that the file `path` refers to as `name`.

    Upper and lower case may differ, as on Windows, where many models come from.
    If the path leads nowhere (`C:\\tmp\\wood.png`), the name is looked up
    beside the file `path`.

    Raises:
      NotHere: there is no such file, or it is outside the folder.
    """
    root = self._root.resolve()
    outside = False
    for candidate in _spellings(name):
      try:
        file = (self._root / path.parent / candidate).resolve()
        if not file.is_relative_to(root):
          outside = True
          continue
        parts, file = file.relative_to(root).parts, root
        while parts and file.is_relative_to(root):
          file = _in_any_case(file, parts[0]).resolve()  # may be a link
          parts = parts[1:]
        if not file.is_relative_to(root):
          outside = True
        elif file.is_file():
          return file.relative_to(root)
      except (OSError, ValueError, RuntimeError):
        continue
    raise NotHere(
      f"it is not in {root}" if outside else "there is no such file"
    )


class Zip:
  """The files in a zip file."""

  def __init__(self, file: pathlib.Path):
    self.name = str(file)
    try:
      self._zip = zipfile.ZipFile(file)
      self._bytes = file.stat().st_size
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as e:
      raise UserError(f"{file} cannot be read as a zip file ({e}).") from e
    self._infos = {}
    for info in self._zip.infolist():
      name = posixpath.normpath(info.filename.replace("\\", "/"))
      is_file = info.filename and not info.is_dir()
      if is_file and not name.startswith(("/", "../")):
        self._infos[name] = info
    self._any_case = {name.lower(): name for name in self._infos}

  def files(
    self, below: pathlib.PurePath = pathlib.PurePath()
  ) -> Iterator[tuple[pathlib.PurePath, int]]:
    """Yields paths and sizes of members in the folder `below`.

    Hidden files and __MACOSX are left out.
    """
    for name, info in self._infos.items():
      path, parts = pathlib.PurePosixPath(name), name.split("/")
      if any(part.startswith((".", "__MACOSX")) for part in parts):
        continue
      if path.is_relative_to(below):
        yield path, info.file_size

  def read(self, path: pathlib.PurePath) -> bytes:
    """Reads a member.

    Raises:
      UserError: it is missing, damaged, encrypted or too big.
    """
    label = f"{self.name}/{path}"
    info = self._infos.get(path.as_posix())
    if info is None:
      raise UserError(f"{label} does not exist.")
    if info.compress_size > self._bytes:  # zipfile would allocate as much
      raise UserError(
        f"{label} is damaged: its recorded size exceeds that of the zip file."
      )
    limit = _MAX_BYTES
    if info.file_size > _BOMB_RATIO * max(1, info.compress_size):
      limit = _MAX_BYTES_OF_A_BOMB
    if info.file_size > limit:
      raise UserError(
        f"{label} would take {info.file_size / 1e6:.0f} MB"
        f" from {info.compress_size / 1e6:.1f} MB: unpack it yourself if you"
        " trust it, and name the folder with --from."
      )
    if info.flag_bits & 1:
      raise UserError(f"{label} is encrypted: unpack the zip file first.")
    try:
      with self._zip.open(info) as file:
        return file.read(limit)
    except (*READ_ERRORS, ValueError) as e:
      raise UserError(f"{label} is damaged ({e}).") from e

  def find(self, name: str, path: pathlib.PurePath) -> pathlib.PurePath:
    """Finds a referenced file, like `Folder.find`."""
    outside = False
    for candidate in _spellings(name):
      full = posixpath.normpath(posixpath.join(path.parent, candidate))
      if full.startswith(("/", "..")):
        outside = True
      elif found := self._any_case.get(full.lower()):
        exact = full if full in self._infos else found
        return pathlib.PurePosixPath(exact)
    raise NotHere(
      f"it is not in {self.name}" if outside else "there is no such file"
    )


@functools.lru_cache(maxsize=8)
def open_source(
  folder: pathlib.Path, zip_path: pathlib.PurePath | None
) -> Folder | Zip:
  """Opens the folder, or the zip file in it, and keeps it open.

  Raises:
    UserError: it is not a zip file.
  """
  return Folder(folder) if zip_path is None else Zip(folder / zip_path)


def find_below(
  source: Folder | Zip, folder: pathlib.PurePath, name: str
) -> pathlib.PurePath | None:
  """Finds the only file in `folder` and below whose name ends the path `name`.

  Upper and lower case may differ. Returns None if there is no such file, or
  more than one.
  """
  by_name = _files_by_name(source, folder)
  found = {
    path
    for spelling in _spellings(name)
    for path in by_name.get(posixpath.basename(spelling).lower(), ())
  }
  return found.pop() if len(found) == 1 else None


@functools.lru_cache(maxsize=8)
def _files_by_name(
  source: Folder | Zip, folder: pathlib.PurePath
) -> dict[str, list[pathlib.PurePath]]:
  """Lists the files in `folder` and below by their names in lower case."""
  by_name: dict[str, list[pathlib.PurePath]] = {}
  for path, _ in source.files(folder):
    by_name.setdefault(path.name.lower(), []).append(path)
  return by_name


def _in_any_case(folder: pathlib.Path, name: str) -> pathlib.Path:
  """Returns the path of `name` in `folder`, or of what differs only in case."""
  path = folder / name
  if path.exists() or not folder.is_dir():
    return path
  others = sorted(p for p in folder.iterdir() if p.name.lower() == name.lower())
  return others[0] if others else path


def _spellings(name: str) -> list[str]:
  """Lists what a mesh file may mean by a file name, the likeliest first."""
  name = name.strip().strip('"').replace("\\", "/")
  names = [name, urllib.parse.unquote(name), posixpath.basename(name)]
  names = [n for n in dict.fromkeys(names) if n and "\0" not in n]
  return [n for n in names if n not in (".", "..")]


def _stop(e: OSError) -> None:
  """Raises a UserError; without this, `os.walk` would skip the folder."""
  raise UserError(f"{e.filename} cannot be listed ({e.strerror}).") from e
