# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Averages scores over objects, and records which code produced the scores.

  result = {**summarize(objects), "provenance": provenance()}
  write_result(workdir / "evaluation.json", result)

`objects` is {object id: {"rows": {row: {metric: value}}}}, where `row` is the
name of what was scored, such as "model". Each metric is averaged over the
objects that have it.
"""

from collections.abc import Callable, Mapping
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


def finite(values: Mapping[str, SupportsFloat]) -> dict[str, float]:
  """Rounds values to 5 decimals, and drops NaN and infinity.

  The PSNR of equal pictures is infinite, for example.
  """
  numbers = {k: float(v) for k, v in values.items()}
  return {k: round(v, 5) for k, v in numbers.items() if math.isfinite(v)}


def mean(values: np.ndarray) -> float:
  return round(float(np.mean(values)), 5)


def standard_error(values: np.ndarray) -> float:
  """Returns the standard error of the mean of `values`; 0 for one value."""
  if len(values) < 2:
    return 0.0
  return round(float(np.std(values, ddof=1)) / math.sqrt(len(values)), 5)


def bootstrap_interval(values: np.ndarray) -> list[float]:
  """Returns [low, high], the 95 % bootstrap percentile interval of the mean.

  The random seed is fixed, so equal values always give the same interval. For a
  single value, both ends are that value.
  """
  rng = np.random.default_rng(0)
  chosen = rng.integers(0, len(values), (NUM_RESAMPLES, len(values)))
  ends = np.percentile(values[chosen].mean(axis=1), INTERVAL)
  return [round(float(end), 5) for end in ends]


def summarize(objects: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
  """Returns means, standard errors and 95 % intervals over objects.

  Standard errors and intervals describe the spread between objects. If only
  some views of each object were drawn and scored, the spread also includes the
  randomness of that draw.

  Args:
    objects: {object id: {"rows": {row: {metric: value}}}}, where `row` is the
      name of what was scored, such as "model".

  Returns:
    {"num_objects": count, "rows": means, "standard_errors": standard errors,
    "intervals": intervals}. The last three have the form {row: {metric:
    value}}, where an interval is [low, high].
  """
  values: dict[str, dict[str, list[float]]] = {}
  for scores in objects.values():
    for row, metrics in scores["rows"].items():
      for metric, value in metrics.items():
        values.setdefault(row, {}).setdefault(metric, []).append(value)

  def apply(fn: Callable[[np.ndarray], Any]) -> dict[str, dict[str, Any]]:
    return {
      row: {metric: fn(np.array(v)) for metric, v in metrics.items()}
      for row, metrics in values.items()
    }

  return {
    "num_objects": len(objects),
    "rows": apply(mean),
    "standard_errors": apply(standard_error),
    "intervals": apply(bootstrap_interval),
  }


def provenance() -> dict[str, Any]:
  """Returns the code revision, JAX version and device of this process."""
  return {
    "git_revision": git_revision(),
    "jax": jax.__version__,
    "device": jax.devices()[0].device_kind,
  }


def git_revision() -> str | None:
  """Returns the Git revision of the source code; None if it is unknown.

  The revision ends with "+" if the working tree has uncommitted changes or new
  files.
  """
  source = epath.resource_path("threedim_jax").parent

  def git(*args: str) -> str:
    command = ["git", "-C", str(source), *args]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()

  try:
    # This fails if the package is installed inside another repository.
    git("ls-files", "--error-unmatch", __file__)
    changed = "+" if git("status", "--porcelain") else ""
    return git("rev-parse", "HEAD") + changed
  except (OSError, subprocess.CalledProcessError):
    return None


def write_result(path: epath.PathLike, result: Mapping[str, Any]) -> None:
  """Writes a result as strict JSON, in a single atomic step.

  Other processes that read the file see either the old or the new content.
  """
  write_atomically(path, json.dumps(result, indent=1, allow_nan=False) + "\n")
