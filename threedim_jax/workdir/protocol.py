# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Chooses the given views and the target views of an evaluation.

The sampler gets the given views and generates the target views. Two results are
comparable only if they are for the same views. So the choice of views depends
only on the data set, the protocol and the requested subset, and every result
contains the SHA-256 of the list of views.

  counts = {"chair_7": 251}  # {object id: number of views}
  requests = requests_of(counts, num_objects=None, num_views=0)  # all views
  list_sha256(requests)
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import hashlib
import itertools
import json
import zlib

import numpy as np

from threedim_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True)
class EvaluationProtocol:
  """The rules of `--mode=evaluate`, which copies them to evaluation.json."""

  name: str
  input_view: int  # objects with too few views use their middle one
  target_views: str
  object_order: str
  background: str
  pictures: str
  averaging: str
  seed: int  # for drawing subsets of views; sampling has its own seed


# Single-view SRN as in pixelNeRF and 3DiM (sec. 3): view 64 of 251 is given.
SRN_V1 = EvaluationProtocol(
  name="srn-v1",
  input_view=64,
  target_views="all but the input view, ascending",
  object_order="ids of the test split, ascending",
  background="white",
  pictures="8-bit PNG (psnr: before rounding)",
  averaging="view -> object -> set",
  seed=0,
)


@dataclasses.dataclass(frozen=True)
class Request:
  """One object to evaluate, with the indices of its given and target views."""

  object_id: str
  input_views: tuple[int, ...]
  target_views: tuple[int, ...]


def given_view(view: int) -> EvaluationProtocol:
  """Returns a protocol like `SRN_V1`, but with `view` as the given view.

  `view` is an index. If the given view of `SRN_V1` is another one, the name of
  the new protocol states `view`.
  """
  if view == SRN_V1.input_view:
    return SRN_V1
  return dataclasses.replace(
    SRN_V1, name=f"{SRN_V1.name}, input view {view}", input_view=view
  )


def input_view_of(num_views: int, protocol: EvaluationProtocol = SRN_V1) -> int:
  """Returns the index of the given view, for an object with `num_views` views.

  This is the protocol's index, or that of the middle view if the object has too
  few views.
  """
  view = protocol.input_view
  return view if num_views > view else num_views // 2


def spread(indices: Sequence, num: int) -> tuple:
  """Returns at most `num` items, evenly spaced from the first to the last."""
  at = np.linspace(0, len(indices) - 1, min(num, len(indices)))
  return tuple(indices[i] for i in at.round().astype(int))


def requests_of(
  counts: Mapping[str, int],
  *,
  num_objects: int | None,
  num_views: int,
  protocol: EvaluationProtocol = SRN_V1,
) -> list[Request]:
  """Lists the given and target views of each object to evaluate.

  The targets of an object do not depend on the other objects. So scores of one
  object are comparable between subsets of objects.

  Args:
    counts: {object id: number of views} of the test split.
    num_objects: number of objects to take, evenly spaced in the list of sorted
      ids; None takes all.
    num_views: number of targets to draw for each object; 0 takes all.
    protocol: `SRN_V1`, or a protocol that `given_view` returned.

  Raises:
    UserError: an object has no view left to generate, or it does not have the
      input view that `given_view` names.
  """
  object_ids = sorted(counts)
  requests = []
  for object_id in spread(object_ids, num_objects or len(object_ids)):
    count = counts[object_id]
    if protocol != SRN_V1 and count <= protocol.input_view:
      raise UserError(
        f"object '{object_id}' has views 0 to {count - 1}, not"
        f" evaluate.input_view={protocol.input_view}"
      )
    given = input_view_of(count, protocol)
    targets = [i for i in range(count) if i != given]
    if not targets:
      raise UserError(
        f"object '{object_id}' has {count} view: none is left to generate"
      )
    if 0 < num_views < len(targets):
      seed = [protocol.seed, zlib.crc32(object_id.encode())]
      rng = np.random.default_rng(seed)
      targets = sorted(rng.choice(targets, num_views, replace=False).tolist())
    requests.append(Request(object_id, (given,), tuple(targets)))
  return requests


def subset_text(
  counts: Mapping[str, int], requests: Sequence[Request]
) -> str | None:
  """Returns a text that says how many objects and target views are requested.

  The result is None if all objects and views are requested. `counts` is {object
  id: number of views} of the test split.
  """
  total = sum(count - 1 for count in counts.values())  # one view is given
  views = sum(len(r.target_views) for r in requests)
  if (len(requests), views) == (len(counts), total):
    return None
  return f"{len(requests)} of {len(counts)} objects, {views} of {total} views"


def list_sha256(requests: Sequence[Request]) -> str:
  """Returns the SHA-256 of the list of objects, given views and targets."""
  rows = [dataclasses.astuple(r) for r in requests]
  return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def by_shape(requests: Sequence[Request]) -> Iterator[list[Request]]:
  """Groups requests with equally many given and equally many target views."""

  def shape(request: Request) -> tuple[int, int]:
    return len(request.input_views), len(request.target_views)

  for _, group in itertools.groupby(sorted(requests, key=shape), shape):
    yield list(group)
