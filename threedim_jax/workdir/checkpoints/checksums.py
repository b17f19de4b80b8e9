# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Two files of ours in the folder of every checkpoint, and what they prove.

meta.json holds what is not an array. SHA256SUMS lists every other file, as
`sha256sum -c SHA256SUMS` reads it, because Orbax restores a flipped byte
without a word. Orbax's bookkeeping beside the folders of the items is left out:
it is still written to after us, and a checkpoint can be read without it.

  seal(folder, ["ema_params", "train"], {"config": config})
  fault = find_fault(folder, ["ema_params"])
  if fault is None:
    config = read_meta(folder)["config"]
"""

from collections.abc import Iterable, Iterator, Mapping
import concurrent.futures
import hashlib
import json
from typing import Any

from etils import epath

META = "meta.json"
SUMS = "SHA256SUMS"
_SEPARATOR = "  "
_NUM_READERS = 8


def seal(
  folder: epath.Path, items: Iterable[str], meta: Mapping[str, Any]
) -> None:
  """Writes both files; the sums last, so that they vouch for all the rest."""
  (folder / META).write_text(json.dumps(meta, indent=1))
  files = _files(folder, [META, *items])
  lines = [f"{_sha256(f)}{_SEPARATOR}{f.relative_to(folder)}\n" for f in files]
  (folder / SUMS).write_text("".join(lines))


def read_meta(folder: epath.Path) -> dict[str, Any]:
  return json.loads((folder / META).read_text())


def find_fault(folder: epath.Path, items: Iterable[str]) -> str | None:
  """What is wrong with meta.json or these items, or None.

  Reads each of their files once.
  """
  try:
    lines = (folder / SUMS).read_text().splitlines()
    sums = {
      name: digest for digest, name in (s.split(_SEPARATOR) for s in lines)
    }
  except FileNotFoundError:
    return f"{folder / SUMS} is missing, so the save was not completed"
  except ValueError:
    return f"{folder / SUMS} is damaged"
  items = list(items)
  wanted = {META, *items}
  names = [name for name in sums if name.split("/")[0] in wanted]
  if {name.split("/")[0] for name in names} != wanted:
    return f"{folder / SUMS} is damaged"

  def check(name: str) -> str | None:
    try:
      digest = _sha256(folder / name)
    except FileNotFoundError:
      return f"{folder / name} is missing"
    if digest != sums[name]:
      return f"{folder / name} does not match its checksum"
    return None

  with concurrent.futures.ThreadPoolExecutor(_NUM_READERS) as pool:
    fault = next(filter(None, pool.map(check, names)), None)
  for path in () if fault else _files(folder, items):
    if str(path.relative_to(folder)) not in sums:
      return f"{folder / SUMS} does not list {path}"
  return fault


def _files(folder: epath.Path, names: Iterable[str]) -> Iterator[epath.Path]:
  """The files `names` in `folder`, and those below where one is a folder."""
  for path in [folder / name for name in sorted(names)]:
    if path.is_dir():
      yield from _files(path, [child.name for child in path.iterdir()])
    else:
      yield path


def _sha256(path: epath.Path) -> str:
  with path.open("rb") as f:
    return hashlib.file_digest(f, "sha256").hexdigest()
