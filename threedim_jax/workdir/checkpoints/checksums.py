# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adds meta.json and SHA256SUMS to a checkpoint, and verifies its files.

meta.json holds everything that is not an array. The arrays are in the items,
which are subfolders such as `ema_params`. SHA256SUMS lists the checksums of
meta.json and of all files in the items, in the format of `sha256sum -c`. The
checksums are needed because Orbax would restore a flipped byte without an
error. Orbax's files beside the items are not listed, because Orbax changes them
later, and because a checkpoint can be read without them.

Each process hashes the files that it wrote itself, so that no process has to
read the whole checkpoint back:

  hash_own_files(folder / "train")  # every process, after its last write
  seal(folder, ["ema_params", "train"], {"config": config})  # process 0
  fault = find_fault(folder, ["ema_params"])
  if fault is None:
    config = read_meta(folder)["config"]

`models/pretrained.py` has the checksums of the bundled weights.
"""

from collections.abc import Iterable, Iterator, Mapping
import concurrent.futures
import hashlib
import json
from typing import Any

from etils import epath
import jax

META = "meta.json"
SUMS = "SHA256SUMS"
_PART = ".process_"  # SHA256SUMS.process_3: sums of the files of process 3
_SEPARATOR = "  "
_NUM_READERS = 8


def hash_own_files(item_folder: epath.Path) -> None:
  """Hashes the files that this process wrote into an item of a checkpoint.

  The checksums are written to a file in the item's folder, where `seal` finds
  them.
  """
  process = jax.process_index()
  # Orbax gives every process a folder for its arrays.
  own = item_folder / f"ocdbt.process_{process}"
  if own.is_dir():
    sums = _hash_files(item_folder, _files(item_folder, [own.name]))
    (item_folder / f"{SUMS}{_PART}{process}").write_text(_format(sums))


def seal(
  folder: epath.Path, items: Iterable[str], meta: Mapping[str, Any]
) -> None:
  """Writes meta.json, then the SHA256SUMS of the whole checkpoint.

  `meta` is the content of meta.json, and `items` names the checkpoint's items.
  SHA256SUMS covers meta.json and the files of these items. Any of the files
  that no process has hashed yet is hashed now.
  """
  (folder / META).write_text(json.dumps(meta, indent=1))
  sums = {}
  for item in items:
    for part in (folder / item).glob(f"{SUMS}{_PART}*"):
      own = _parse(part.read_text())
      sums |= {f"{item}/{name}": digest for name, digest in own.items()}
      part.unlink()
  others = [
    f
    for f in _files(folder, [META, *items])
    if str(f.relative_to(folder)) not in sums
  ]
  sums |= _hash_files(folder, others)
  (folder / SUMS).write_text(_format(sums))


def read_meta(folder: epath.Path) -> dict[str, Any]:
  """Reads the content of a checkpoint's meta.json."""
  return json.loads((folder / META).read_text())


def find_fault(folder: epath.Path, items: Iterable[str]) -> str | None:
  """Compares meta.json and all files of the named items with their checksums.

  The result is a sentence that says what is wrong; None if nothing is wrong.
  """
  items = list(items)
  try:
    sums = _parse((folder / SUMS).read_text())
  except FileNotFoundError:
    return f"{folder / SUMS} is missing, so the save was not completed"
  except ValueError:
    return f"{folder / SUMS} is damaged"
  wanted = {
    name: digest
    for name, digest in sums.items()
    if name.split("/")[0] in {META, *items}
  }
  if {name.split("/")[0] for name in wanted} != {META, *items}:
    return f"{folder / SUMS} is damaged"
  for name in wanted:
    if not (folder / name).exists():
      return f"{folder / name} is missing"
  for name, digest in _hash_files(folder, map(folder.joinpath, wanted)).items():
    if digest != wanted[name]:
      return f"{folder / name} does not match its checksum"
  for path in _files(folder, items):
    if str(path.relative_to(folder)) not in sums:
      return f"{folder / SUMS} does not list {path}"
  return None


def _files(folder: epath.Path, names: Iterable[str]) -> Iterator[epath.Path]:
  """Yields the paths of the named files in a folder.

  `names` may include subfolders. All files in a subfolder are yielded, at any
  depth.
  """
  for path in [folder / name for name in sorted(names)]:
    if path.is_dir():
      yield from _files(path, [child.name for child in path.iterdir()])
    else:
      yield path


def _hash_files(
  folder: epath.Path, paths: Iterable[epath.Path]
) -> dict[str, str]:
  """Hashes files; returns {path relative to `folder`: SHA-256}."""
  paths = list(paths)
  with concurrent.futures.ThreadPoolExecutor(_NUM_READERS) as pool:
    digests = list(pool.map(_sha256, paths))
  names = [str(path.relative_to(folder)) for path in paths]
  return dict(zip(names, digests, strict=True))


def _sha256(path: epath.Path) -> str:
  with path.open("rb") as f:
    return hashlib.file_digest(f, "sha256").hexdigest()


def _format(sums: Mapping[str, str]) -> str:
  """Formats {file: SHA-256} as lines, in the same way as `sha256sum`."""
  rows = sorted((name, digest) for name, digest in sums.items())
  return "".join(f"{digest}{_SEPARATOR}{name}\n" for name, digest in rows)


def _parse(text: str) -> dict[str, str]:
  """Parses lines in the format of `sha256sum` into {file: SHA-256}.

  Raises:
    ValueError: a line is not in this format.
  """
  lines = [line.split(_SEPARATOR) for line in text.splitlines()]
  return {name: digest for digest, name in lines}
