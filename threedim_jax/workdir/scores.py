# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads evaluation.json and consistency.json.

  scores = read_scores("runs/x/evaluation.json")  # None if there is none
  scores.rows["model"]["psnr_u8"]  # mean PSNR of the generated views
  scores.objects["chair_7"].rows["model"]["psnr_u8"]  # PSNR for one object
  ranked(scores, "psnr_u8")  # object ids, the highest score first

Older versions of this package wrote fewer fields. If a file lacks a field, that
field of the result is empty.
"""

import dataclasses
import json
import math
from typing import Any

from etils import epath

from threedim_jax.runtime.errors import UserError

Row = dict[str, float]  # {metric: value}
Rows = dict[str, Row]  # by what was scored, such as "model" or "copy input"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectScores:
  """The scores of one object: means over its views, and scores of each view."""

  rows: Rows
  views: dict[int, Row]  # by the view's index in the data set
  held_out: tuple[int, ...]  # indices of views in the folder of samples
  foreground: float | None  # share of the held-out pixels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
  """The content of evaluation.json or consistency.json.

  `rows` is {what was scored: {metric: mean over objects}}. Metrics that were
  not measured are missing.
  """

  protocol: dict[str, Any]
  provenance: dict[str, Any]
  variants: dict[str, str]  # how a metric is computed
  remarks: tuple[str, ...]  # for example why a metric was left out
  rows: Rows
  standard_errors: Rows
  intervals: dict[str, dict[str, list[float]]]  # 95 %: [low, high]
  objects: dict[str, ObjectScores]
  num_images: int | None  # generated pictures that were scored

  @property
  def num_objects(self) -> int:
    return len(self.objects)

  @property
  def subject(self) -> str | None:
    """Name of the scored method, the first of `rows`; None if there is none."""
    return next(iter(self.rows), None)


def read_json(path: epath.Path) -> dict[str, Any] | None:
  """Reads a file that holds a JSON object; None if there is no such file.

  Raises:
    UserError: the file does not hold a JSON object.
  """
  if not path.exists():
    return None
  try:
    value = json.loads(path.read_text())
  except ValueError as e:
    raise UserError(
      f"{path} is not valid JSON ({e}): delete it and run that mode again."
    ) from e
  if not isinstance(value, dict):
    raise UserError(
      f"{path} must hold a JSON object: delete it and run that mode again."
    )
  return value


def read_scores(path: epath.PathLike) -> Scores | None:
  """Reads evaluation.json or consistency.json; None if there is no such file.

  Raises:
    UserError: the file is cut short, or another program wrote it.
  """
  path = epath.Path(path)
  tree = read_json(path)
  try:
    return None if tree is None else _scores(tree)
  except (AttributeError, KeyError, TypeError, ValueError) as e:
    raise UserError(
      f"{path} does not hold scores as --mode=evaluate, compare or score write"
      f" them ({e}): delete it and run that mode again."
    ) from e


def ranked(scores: Scores, metric: str) -> list[str]:
  """Sorts object ids by the value of a metric, the highest value first.

  The values are those of `scores.subject`, the method that was scored. Objects
  without a value come last.
  """

  def value(object_id: str) -> float:
    row = scores.objects[object_id].rows.get(scores.subject, {})
    return row.get(metric, -math.inf)

  return sorted(scores.objects, key=value, reverse=True)


def _scores(tree: dict[str, Any]) -> Scores:
  return Scores(
    protocol=dict(tree.get("protocol", {})),
    provenance=dict(tree.get("provenance", {})),
    variants=dict(tree.get("variants", {})),
    remarks=tuple(tree.get("remarks", ())),
    rows=_rows(tree, "rows"),
    standard_errors=_rows(tree, "standard_errors"),
    intervals={
      name: {metric: list(map(float, ends)) for metric, ends in row.items()}
      for name, row in tree.get("intervals", {}).items()
    },
    objects={k: _object(v) for k, v in tree.get("objects", {}).items()},
    num_images=tree.get("num_views", tree.get("num_held_out")),
  )


def _object(tree: dict[str, Any]) -> ObjectScores:
  rows = _rows(tree, "rows")
  if "mean" in tree:  # older files have no rows of an object
    rows.setdefault("model", _row(tree["mean"]))
  views = map(_row, tree.get("views", ()))
  foreground = tree.get("foreground")
  return ObjectScores(
    rows=rows,
    views={int(row.pop("view", -1)): row for row in views},
    held_out=tuple(map(int, tree.get("held_out", ()))),
    foreground=None if foreground is None else float(foreground),
  )


def _rows(tree: dict[str, Any], key: str) -> Rows:
  return {name: _row(row) for name, row in tree.get(key, {}).items()}


def _row(tree: dict[str, Any]) -> Row:
  """Converts the scores in one row of the JSON file to {metric: float}.

  null and NaN mean "not measured", so they are dropped.
  """
  return {
    metric: float(value)
    for metric, value in tree.items()
    if value is not None and not math.isnan(value)
  }
