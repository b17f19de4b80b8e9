# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Numbers of many objects become rows with their uncertainty and origin.

  result = {**summarize(objects), "provenance": provenance()}
  write_result(workdir / "evaluation.json", result)

`objects` is {object id: {"rows": {row: {metric: value}}}}, and a row's value is
the mean over the objects that have it.
"""

from collections.abc import Mapping
import json
import math
import subprocess
from typing import Any, SupportsFloat

from etils import epath
import jax
import numpy as np

from threedim_jax.runtime.disk import write_atomically

NUM_RESAMPLES = 2000
INTERVAL = (2.5, 97.5)  # percentiles

Rows = dict[str, dict[str, float]]


def finite(values: Mapping[str, SupportsFloat]) -> dict[str, float]:
  """Rounded for a file; infinities (equal pictures) and NaN are left out."""
  numbers = {k: float(v) for k, v in values.items()}
  return {k: round(v, 5) for k, v in numbers.items() if math.isfinite(v)}


def bootstrap_interval(values: np.ndarray) -> tuple[float, float]:
  """95 % percentile interval of the mean, resampling objects with a fixed seed.

  One object has no spread to speak of: its interval is its value.
  """
  rng = np.random.default_rng(0)
  chosen = rng.integers(0, len(values), (NUM_RESAMPLES, len(values)))
  low, high = np.percentile(values[chosen].mean(axis=1), INTERVAL)
  return float(low), float(high)


def summarize(objects: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
  """{"num_objects", "rows", "standard_errors", "intervals"} over objects.

  The standard error is that of the mean over objects; where an object stands
  for its views by one drawn at random it holds that draw's spread, too.
  """
  values: dict[str, dict[str, list[float]]] = {}
  for scores in objects.values():
    for row, metrics in scores["rows"].items():
      for metric, value in metrics.items():
        values.setdefault(row, {}).setdefault(metric, []).append(value)
  each = lambda fn: {
    row: {m: fn(np.array(v)) for m, v in metrics.items()}
    for row, metrics in values.items()
  }
  error = lambda v: np.std(v, ddof=1) / math.sqrt(len(v)) if len(v) > 1 else 0.0
  return {
    "num_objects": len(objects),
    "rows": each(lambda v: round(float(np.mean(v)), 5)),
    "standard_errors": each(lambda v: round(float(error(v)), 5)),
    "intervals": each(lambda v: [round(x, 5) for x in bootstrap_interval(v)]),
  }


def provenance() -> dict[str, Any]:
  """What made the numbers, as far as it does not depend on the mode."""
  return {
    "git_revision": git_revision(),
    "jax": jax.__version__,
    "device": jax.devices()[0].device_kind,
  }


def git_revision() -> str | None:
  """Revision of the source tree, with "+" if it was changed; None outside."""
  source = epath.resource_path("threedim_jax").parent
  run = lambda *args: subprocess.run(
    ["git", "-C", str(source), *args],
    capture_output=True,
    text=True,
    check=True,
  ).stdout.strip()
  try:
    # Installed inside somebody's repository is not the same as part of it.
    run("ls-files", "--error-unmatch", __file__)
    revision = run("rev-parse", "HEAD")
    return revision + ("+" if run("status", "--porcelain") else "")
  except (OSError, subprocess.CalledProcessError):
    return None


def write_result(path: epath.PathLike, result: Mapping[str, Any]) -> None:
  """Writes strict JSON in one rename: a reader sees all of it or the old."""
  write_atomically(path, json.dumps(result, indent=1, allow_nan=False) + "\n")
