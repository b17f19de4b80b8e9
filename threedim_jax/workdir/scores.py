# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""evaluation.json and consistency.json, checked while they are read.

  scores = read_scores("runs/x/evaluation.json")  # None if there is none
  scores.rows["model"]["psnr_u8"], scores.objects["chair_7"].rows
  best_median_worst(ranked(scores, "psnr_u8"))

Pages and tables read scores only through here, so that a file that another
program wrote, or that was cut short, ends in one sentence. What a file of an
older version lacks is empty.
"""

from collections.abc import Sequence
import dataclasses
import json
import math
from typing import Any

from etils import epath

from threedim_jax.runtime.errors import UserError

Numbers = dict[str, float]  # by metric
Rows = dict[str, Numbers]  # by system


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectScores:
  """One object's numbers, and which pictures they are of."""

  rows: Rows
  views: dict[int, Numbers]  # by index in the data set
  held_out: tuple[int, ...]  # indices in the folder of samples
  foreground: float | None  # share of the pixels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
  """What a mode measured; metrics that were not are absent."""

  protocol: dict[str, Any]
  provenance: dict[str, Any]
  variants: dict[str, str]
  remarks: tuple[str, ...]  # why a metric was left out, and the like
  rows: Rows
  standard_errors: Rows
  intervals: dict[str, dict[str, tuple[float, float]]]  # 95 %
  objects: dict[str, ObjectScores]
  num_images: int | None  # generated pictures that were scored

  @property
  def num_objects(self) -> int:
    return len(self.objects)

  @property
  def subject(self) -> str | None:
    """The row that the file is about: the first, others are to compare with."""
    return next(iter(self.rows), None)


def read_json(path: epath.Path) -> dict[str, Any] | None:
  """The object that a file holds; None if there is no such file."""
  if not path.exists():
    return None
  try:
    value = json.loads(path.read_text())
  except ValueError as e:
    raise UserError(
      f"{path} is not valid JSON ({e}): delete it and run that mode again."
    ) from e
  if not isinstance(value, dict):
    raise UserError(f"{path} must hold a JSON object: delete it, run again.")
  return value


def read_scores(path: epath.PathLike) -> Scores | None:
  """None if there is no such file; UserError names what in it is wrong."""
  path = epath.Path(path)
  tree = read_json(path)
  if tree is None:
    return None
  try:
    objects = {
      object_id: _object(value)
      for object_id, value in _dict(tree, "objects").items()
    }
    return Scores(
      protocol=_dict(tree, "protocol"),
      provenance=_dict(tree, "provenance"),
      variants={k: str(v) for k, v in _dict(tree, "variants").items()},
      remarks=tuple(map(str, _list(tree, "remarks"))),
      rows=_rows(tree, "rows"),
      standard_errors=_rows(tree, "standard_errors"),
      intervals=_intervals(tree),
      objects=objects,
      num_images=_count(tree, "num_views", "num_held_out"),
    )
  except _Wrong as e:
    raise UserError(f"{path}: {e}. Delete it and run that mode again.") from e


def ranked(scores: Scores, metric: str) -> list[str]:
  """Object ids, the subject's highest number first; those without come last."""

  def number(object_id: str) -> float:
    numbers = scores.objects[object_id].rows.get(scores.subject, {})
    return numbers.get(metric, -math.inf)

  return sorted(scores.objects, key=number, reverse=True)


def best_median_worst(ids: Sequence[str]) -> list[tuple[str, str]]:
  """(label, id) of up to three of the ids, which come best first."""
  at = {0: "best", len(ids) // 2: "median", len(ids) - 1: "worst"}
  if len(ids) < 3:
    at = dict(zip(range(len(ids)), ("best", "worst"), strict=False))
  return [(label, ids[i]) for i, label in sorted(at.items())]


# -------------------------------------------------------------- checking


class _Wrong(Exception):
  """What in a file is not as it should be."""


def _dict(tree: dict[str, Any], key: str) -> dict[str, Any]:
  value = tree.get(key, {})
  if not isinstance(value, dict):
    raise _Wrong(f'"{key}" must be an object')
  return value


def _list(tree: dict[str, Any], key: str) -> list[Any]:
  value = tree.get(key, [])
  if not isinstance(value, list):
    raise _Wrong(f'"{key}" must be a list')
  return value


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(value: Any, where: str) -> Numbers:
  """Metrics without a number (null, NaN) were not measured."""
  if not isinstance(value, dict):
    raise _Wrong(f"{where} must be an object of numbers")
  numbers = {k: v for k, v in value.items() if v is not None}
  for name, number in numbers.items():
    if not _is_number(number):
      raise _Wrong(f'{where} has "{name}" that is no number')
  return {k: float(v) for k, v in numbers.items() if not math.isnan(v)}


def _rows(tree: dict[str, Any], key: str) -> Rows:
  return {
    name: _numbers(row, f'"{key}", "{name}"')
    for name, row in _dict(tree, key).items()
  }


def _intervals(tree: dict[str, Any]):
  intervals = {}
  for name, row in _dict(tree, "intervals").items():
    if not isinstance(row, dict):
      raise _Wrong(f'"intervals", "{name}" must be an object')
    for metric, ends in row.items():
      if ends is None:
        continue
      pair = isinstance(ends, list) and len(ends) == 2
      if not pair or not all(map(_is_number, ends)):
        raise _Wrong(f'"intervals", "{name}", "{metric}" must be two numbers')
      intervals.setdefault(name, {})[metric] = tuple(map(float, ends))
  return intervals


def _object(value: Any) -> ObjectScores:
  if not isinstance(value, dict):
    raise _Wrong('"objects" must hold objects')
  rows = _rows(value, "rows")
  if "mean" in value:  # older files have no rows of an object
    rows.setdefault("model", _numbers(value["mean"], '"mean"'))
  views, held_out = value.get("views", []), value.get("held_out", [])
  if not isinstance(views, list) or not isinstance(held_out, list):
    raise _Wrong('"views" and "held_out" must be lists')
  if not all(isinstance(i, int) and i >= 0 for i in held_out):
    raise _Wrong('"held_out" must list indices of views')
  by_view = {}
  for view in views:
    numbers = _numbers(view, '"views"')
    by_view[int(numbers.pop("view", -1))] = numbers
  foreground = value.get("foreground")
  return ObjectScores(
    rows=rows,
    views=by_view,
    held_out=tuple(held_out),
    foreground=float(foreground) if _is_number(foreground) else None,
  )


def _count(tree: dict[str, Any], *keys: str) -> int | None:
  return next((tree[k] for k in keys if isinstance(tree.get(k), int)), None)
