# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Formats scores as a table, for a page or for the terminal.

scores = read_scores("W/evaluation.json")  # W is the workdir
table = score_table(scores)  # a block for `page.write_page`
print_scores(scores, "Scores against the true views")
"""

from collections.abc import Iterable
import sys
from typing import NamedTuple

import rich.box
import rich.console
import rich.table
import rich.text

from threedim_jax.viewing.page import Cell, Table
from threedim_jax.workdir.protocol import spread
from threedim_jax.workdir.scores import Row, Rows, Scores, ranked


class Metric(NamedTuple):
  """How to format a metric's values, and whether higher values are better."""

  arrow: str = "↑"  # the direction that is better
  format: str = ".4g"
  unit: str = ""
  of_a_set: bool = False  # compares sets, so depends on their size


# By the first word of a metric's name: psnr_fg_u8 is shown like psnr.
METRICS = {
  "psnr": Metric(format=".2f", unit=" dB"),
  "ssim": Metric(format=".4f"),
  "fid": Metric("↓", of_a_set=True),
  "fd": Metric("↓", of_a_set=True),
  "kid": Metric("↓", of_a_set=True),
  "kd": Metric("↓", of_a_set=True),
  "diversity": Metric(arrow=""),
}
# Rows whose names start like this were made with the true views.
CEILINGS = ("ground truth", "best of")
ERROR_SUFFIX = "_se"  # marks the standard error of another metric
RANKED_BY = "psnr_u8"  # the metric by which objects are sorted
NOTE = (
  "↑ higher is better, ↓ lower. The best row is bold; rows that saw the truth"
  " do not compete. ± is the standard error and 95 % a bootstrap interval, both"
  " over objects. A metric with an n is of all pictures together and depends on"
  " their number: compare it at the same n only."
)


def metric_of(name: str) -> Metric:
  return METRICS.get(name.split("_")[0], Metric())


def score_text(name: str, value: float | int) -> str:
  """Formats a value of the metric `name`, for example as "21.50 dB"."""
  metric = metric_of(name)
  return f"{value:{metric.format}}{metric.unit}"


def score_texts(rows: Rows) -> dict[str, list[str]]:
  """Formats scores of an object: {"model": ["psnr_u8 21.50 dB", ...], ...}.

  `rows` is {what was scored, such as "model" or a baseline: {metric: value}}.
  """
  return {
    row: [f"{m} {score_text(m, values[m])}" for m in _metrics([values])]
    for row, values in rows.items()
  }


def score_table(scores: Scores) -> Table:
  """Makes a table of scores, with a column for each metric.

  Columns and rows keep the order that they have in `scores`. The best value of
  each column is marked.
  """
  metrics = _metrics(scores.rows.values())
  best = {m: _best_row(scores.rows, m) for m in metrics}
  rows = [
    [Cell(row), *(_cell(scores, row, m, row == best[m]) for m in metrics)]
    for row in scores.rows
  ]
  heads = [Cell(""), *(_head(scores, m) for m in metrics)]
  return Table(rows, heads, style="metrics")


def ranked_objects(scores: Scores, num: int) -> list[tuple[str, str]]:
  """Chooses up to `num` objects, evenly spaced from the best to the worst.

  The objects are ranked by the metric `RANKED_BY`.

  Returns:
    Pairs of an object's id and its rank as text, such as ("chair_7", "3 of 9").
  """
  ids = ranked(scores, RANKED_BY)
  places = spread(range(len(ids)), num)
  return [(ids[i], f"{i + 1} of {len(ids)}") for i in places]


def protocol_text(scores: Scores) -> str:
  """Returns the name of the protocol that the scores follow.

  If `scores` says which part of the protocol's views was used, the text names
  that part.
  """
  protocol = scores.protocol
  text = str(protocol.get("name", "not recorded"))
  if "subset" in protocol:
    text += f", {protocol['subset'] or 'in full'}"
  return text


def averaging(scores: Scores, views: str) -> str:
  """Returns a note on how the scores were averaged and how to read them.

  Args:
    views: what the note calls the views, such as "held-out views".
  """
  count = scores.num_images or "unknown number of"
  return (
    f"Protocol {protocol_text(scores)}: mean over the views of an object, then"
    f" over the objects ({scores.num_objects:,}; {count} {views}). {NOTE}"
  )


def print_scores(scores: Scores, title: str) -> None:
  """Prints a table with a line for each metric, then remarks on the metrics."""
  table = score_table(scores)
  heads, *lines = zip(table.heads, *table.rows, strict=True)
  print_table(Table(lines, heads), title)
  for remark in scores.remarks:
    print(remark)


def print_table(table: Table, title: str) -> None:
  """Prints a table to standard output.

  Notes that a page shows in small type inside a cell are left out.
  """
  shown = rich.table.Table(
    title=title,
    title_justify="left",
    box=rich.box.SIMPLE_HEAD,
    show_header=bool(table.heads),
  )
  for i, cell in enumerate(table.heads or table.rows[0]):
    head = rich.text.Text(str(cell.text))
    justify = "right" if i else "left"
    shown.add_column(head, justify=justify, overflow="fold", no_wrap=not i)
  for row in table.rows:
    shown.add_row(
      *(
        rich.text.Text(str(c.text), "bold" if c.style == "best" else "")
        for c in row
      )
    )
  console = rich.console.Console(file=sys.stdout)
  if not console.is_terminal:
    console.width = 200  # wide enough that a log has no wrapped lines
  console.print(shown)


def _metrics(rows: Iterable[Row]) -> list[str]:
  """Lists the metrics in the rows, in the order in which they first occur.

  The standard error of a metric (such as "kid_se") does not count as a metric.
  """
  names = dict.fromkeys(metric for row in rows for metric in row)
  errors = {name + ERROR_SUFFIX for name in names}
  return [name for name in names if name not in errors]


def _head(scores: Scores, metric: str) -> Cell:
  family = metric.split("_")[0]
  small = [scores.variants.get(metric, scores.variants.get(family, ""))]
  if metric_of(metric).of_a_set and scores.num_images is not None:
    small.insert(0, f"n = {scores.num_images}")
  text = f"{metric}\u00a0{metric_of(metric).arrow}".strip()
  return Cell(text, ". ".join(filter(None, small)))


def _cell(scores: Scores, row: str, metric: str, is_best: bool) -> Cell:
  values, how = scores.rows[row], metric_of(metric)
  if metric not in values:
    return Cell("-")
  error, interval = values.get(metric + ERROR_SUFFIX), None
  if scores.num_objects > 1:  # the spread of one object is unknown
    error = scores.standard_errors.get(row, {}).get(metric, error)
    interval = scores.intervals.get(row, {}).get(metric)
  text, small = f"{values[metric]:{how.format}}", ""
  if error is not None:
    text += f" ± {error:{how.format if how.unit else '.2g'}}"
  if interval is not None:
    small = "95 %: " + " to ".join(f"{end:{how.format}}" for end in interval)
  return Cell(text + how.unit, small, "best" if is_best else "")


def _best_row(rows: Rows, metric: str) -> str | None:
  """Returns the name of the row with the best value of a metric.

  Rows that were made with the help of the true views (such as "best of 4") do
  not compete. The result is None if fewer than two rows compete, or if neither
  higher nor lower values of the metric are better.
  """
  values = {
    row: values[metric]
    for row, values in rows.items()
    if metric in values and not row.startswith(CEILINGS)
  }
  arrow = metric_of(metric).arrow
  if len(values) < 2 or not arrow:
    return None
  return (min if arrow == "↓" else max)(values, key=values.get)
