# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Splits all SRN chairs anew, for the "chairs*" of the paper.

  objects = resplit(archive.objects)
  digests = {split: ids_sha256(entries) for split, entries in objects.items()}

In the SRN archive, cameras are much farther from test chairs than from training
chairs. For its ablations the paper merges the splits, shuffles the objects and
splits them again. The paper does not publish the order. This module orders the
objects by the SHA-256 of `SEED` and their ids.
"""

import collections
from collections.abc import Mapping, Sequence
import hashlib

from srn.archive import Entry

from threedim_jax.runtime.errors import UserError

SEED = 0


def resplit(objects: Mapping[str, Sequence[Entry]]) -> dict[str, list[Entry]]:
  """Divides all objects into splits of the original sizes, each sorted by id.

  An object keeps its views: 50 if it was a training object, else 251.

  Raises:
    UserError: two splits have an object with the same id.
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
  """Returns the SHA-256 of the ids of a split, one per line."""
  text = "".join(f"{entry.object_id}\n" for entry in entries)
  return hashlib.sha256(text.encode()).hexdigest()


def _place(object_id: str) -> bytes:
  return hashlib.sha256(f"{SEED} {object_id}".encode()).digest()
