# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The table of metrics, and how its numbers are written, on every page.

  table = metrics_table(scores)  # for show_metrics in tables.html

Which way is better, what a number is uncertain by and of how many pictures it
is stands beside it. The best system is bold; rows that saw the truth are
ceilings, not competitors.
"""

from collections.abc import Mapping
import dataclasses

from threedim_jax.workdir.scores import Rows, Scores

LOWER_IS_BETTER = ("lpips", "fid", "fd", "kid", "kd")
NEITHER_IS_BETTER = ("diversity",)
OF_A_SET = ("fid", "fd", "kid", "kd")  # depend on how many pictures there are
CEILINGS = ("ground truth", "best of")  # how the names of such rows begin
ERROR_SUFFIX = "_se"  # a metric that is another one's standard error


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
  """The head of a metric's column."""

  metric: str
  arrow: str  # which way is better
  variant: str  # how exactly it is computed
  num_images: int | None  # of metrics that depend on it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
  """A number as it is shown; "-" if it was not measured."""

  text: str = "-"
  interval: str = ""
  best: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
  """What `show_metrics` shows; which of its marks need a word below it."""

  columns: list[Column]
  rows: dict[str, list[Cell]]
  remarks: tuple[str, ...]  # why a metric is not there, and the like

  @property
  def has_errors(self) -> bool:
    return any("±" in c.text for cells in self.rows.values() for c in cells)

  @property
  def has_intervals(self) -> bool:
    return any(c.interval for cells in self.rows.values() for c in cells)

  @property
  def has_set_metrics(self) -> bool:
    return any(_family(column.metric) in OF_A_SET for column in self.columns)


def metrics_table(scores: Scores) -> Table:
  """Columns in the order of the file, and a list of cells for each row."""
  columns = [
    Column(
      metric=metric,
      arrow=_arrow(metric),
      variant=scores.variants.get(
        metric, scores.variants.get(_family(metric), "")
      ),
      num_images=scores.num_images if _family(metric) in OF_A_SET else None,
    )
    for metric in metric_names(scores.rows)
  ]
  best = {c.metric: _best(scores.rows, c.metric) for c in columns}
  cell = lambda row, c: _cell(scores, row, c.metric, best[c.metric] == row)
  rows = {row: [cell(row, c) for c in columns] for row in scores.rows}
  return Table(columns=columns, rows=rows, remarks=scores.remarks)


def metric_names(rows: Rows) -> list[str]:
  """All metrics of any row; standard errors belong to theirs."""
  names = dict.fromkeys(metric for row in rows.values() for metric in row)
  is_error = lambda name: (
    name.endswith(ERROR_SUFFIX) and name.removesuffix(ERROR_SUFFIX) in names
  )
  return [name for name in names if not is_error(name)]


def score_text(metric: str, value: float | int) -> str:
  """PSNR in dB with two decimals, SSIM with four, the rest four digits."""
  return _number(metric, value) + _unit(metric)


def score_list(numbers: Mapping[str, float | int]) -> list[tuple[str, str]]:
  """(metric, text) of one row of an object."""
  names = metric_names({"": dict(numbers)})
  return [(name, score_text(name, numbers[name])) for name in names]


def _cell(scores: Scores, row: str, metric: str, best: bool) -> Cell:
  numbers = scores.rows[row]
  if metric not in numbers:
    return Cell()
  error = numbers.get(metric + ERROR_SUFFIX)
  interval = None
  if scores.num_objects > 1:  # one object does not say how much they differ
    error = scores.standard_errors.get(row, {}).get(metric, error)
    interval = scores.intervals.get(row, {}).get(metric)
  text = _number(metric, numbers[metric])
  if error is not None:
    decimals = _number(metric, error) if _unit(metric) else f"{error:.2g}"
    text += f" ± {decimals}"
  ends = [_number(metric, end) for end in interval or ()]
  return Cell(
    text=text + _unit(metric),
    interval=f"95 %: {' to '.join(ends)}" if ends else "",
    best=best,
  )


def _best(rows: Rows, metric: str) -> str | None:
  """The row that wins among those that do not know the truth."""
  values = {
    row: numbers[metric]
    for row, numbers in rows.items()
    if metric in numbers and not row.startswith(CEILINGS)
  }
  if len(values) < 2 or not _arrow(metric):
    return None
  return (min if _arrow(metric) == "↓" else max)(values, key=values.get)


def _family(metric: str) -> str:
  return metric.split("_")[0]


def _arrow(metric: str) -> str:
  if _family(metric) in NEITHER_IS_BETTER:
    return ""
  return "↓" if _family(metric) in LOWER_IS_BETTER else "↑"


def _unit(metric: str) -> str:
  return " dB" if _family(metric) == "psnr" else ""


def _number(metric: str, value: float | int) -> str:
  decimals = {"psnr": ".2f", "ssim": ".4f"}.get(_family(metric), ".4g")
  return f"{value:{decimals}}"
