# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The paper's "chairs*": all chairs, shuffled and split again.

  objects = resplit(archive.objects)
  digests = {split: ids_sha256(entries) for split, entries in objects.items()}

The cameras of the test chairs in the SRN archive are much farther away than
those of its training chairs. For its ablations the paper merges the splits and
divides the objects anew. Its own order is not published; this one is the order
of the SHA-256 of `SEED` and the object's id.
"""

import collections
from collections.abc import Mapping, Sequence
import hashlib

from srn.archive import Entry

from threedim_jax.runtime.errors import UserError

SEED = 0


def resplit(objects: Mapping[str, Sequence[Entry]]) -> dict[str, list[Entry]]:
  """The same objects in splits of the same sizes, each sorted by id.

  An object keeps its views: 50 if it was for training, else 251.

  Raises:
    UserError: two splits have an object of the same id.
  """
  entries = [entry for split in objects.values() for entry in split]
  ids = collections.Counter(entry.object_id for entry in entries)
  if twice := sorted(id_ for id_, count in ids.items() if count > 1):
    raise UserError(
      f"the object {twice[0]!r} is in two splits of the archive: it is not the"
      " original one, get it again."
    )
  entries.sort(key=lambda entry: _place(entry.object_id))
  result, start = {}, 0
  for split, old in objects.items():
    new = entries[start : start + len(old)]
    result[split] = sorted(new, key=lambda entry: entry.object_id)
    start += len(old)
  return result


def ids_sha256(entries: Sequence[Entry]) -> str:
  """A digest of the ids, one a line, in the order of the split."""
  text = "".join(f"{entry.object_id}\n" for entry in entries)
  return hashlib.sha256(text.encode()).hexdigest()


def _place(object_id: str) -> bytes:
  return hashlib.sha256(f"{SEED} {object_id}".encode()).digest()
