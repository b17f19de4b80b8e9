# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The paper's orderings, each beside the numbers of `ablate.py` for or against.

  verdicts(root)   # of an ablation that has been scored

Differences are paired: both systems made the same views of the same objects.
"""

import json
import math
import pathlib
import statistics
from typing import Any, NamedTuple


class Measure(NamedTuple):
  """Where a number lies, and whether more of it is better (1) or less (-1)."""

  file: str
  row: str
  metric: str
  sign: int


class Claim(NamedTuple):
  """The system `better` is better than `worse`, both named by their folders."""

  text: str
  better: str
  worse: str
  measure: Measure


PSNR = Measure("evaluation.json", "model", "psnr_u8", 1)
DISTANCE = Measure("evaluation.json", "model", "fd_effnetlite0", -1)
CONSISTENCY = Measure("consistency/consistency.json", "generated", "psnr_u8", 1)
CLAIMS = (
  Claim("X-UNet above Concat-UNet, PSNR", "3dim", "concat", PSNR),
  Claim(
    "X-UNet below Concat-UNet, Frechet distance", "3dim", "concat", DISTANCE
  ),
  Claim(
    "stochastic conditioning above the first view only, consistency",
    "3dim",
    "naive",
    CONSISTENCY,
  ),
  Claim("regression above 3DiM, PSNR", "regression", "3dim", PSNR),
  Claim(
    "3DiM below regression, Frechet distance", "3dim", "regression", DISTANCE
  ),
)


def verdicts(root: pathlib.Path) -> list[dict[str, Any]]:
  """Every claim with both numbers, their difference and what it says.

  "holds" and "fails" take a difference of two standard errors over the
  objects; less is "open". A distance is one number of all pictures and has no
  standard error: its sign decides. It is absent without its network; a claim
  with it is left out then.
  """
  rows = []
  for claim in CLAIMS:
    measure = claim.measure
    results = [
      json.loads((root / system / measure.file).read_text())
      for system in (claim.better, claim.worse)
    ]
    values = [r["rows"][measure.row].get(measure.metric) for r in results]
    if None in values:
      continue
    difference = values[0] - values[1]
    error = _paired_error(*results, measure)
    verdict = "holds" if measure.sign * difference > 0 else "fails"
    if error is not None and abs(difference) < 2 * error:
      verdict = "open"
    rows.append(
      {
        "claim": claim.text,
        "first": values[0],
        "second": values[1],
        "difference": difference,
        "standard_error": error,
        "verdict": verdict,
      }
    )
  return rows


def markdown(rows: list[dict[str, Any]]) -> str:
  lines = [
    "| claim of the paper | first | second | difference | here |",
    "| --- | --- | --- | --- | --- |",
  ]
  for row in rows:
    difference = f"{row['difference']:+.4g}"
    if row["standard_error"] is not None:
      difference += f" ± {row['standard_error']:.2g}"
    lines.append(
      f"| {row['claim']} | {row['first']:.4g} | {row['second']:.4g}"
      f" | {difference} | {row['verdict']} |"
    )
  return "\n".join(lines) + "\n"


def _paired_error(
  first: dict[str, Any], second: dict[str, Any], measure: Measure
) -> float | None:
  """Standard error of the mean difference; None if objects have no metric."""
  value = lambda scores: scores["rows"][measure.row].get(measure.metric)
  pairs = []
  for object_id, scores in first["objects"].items():
    if value(scores) is None:
      return None
    pairs.append(value(scores) - value(second["objects"][object_id]))
  if len(pairs) < 2:
    return None
  return statistics.stdev(pairs) / math.sqrt(len(pairs))
