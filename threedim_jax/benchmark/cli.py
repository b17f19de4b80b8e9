# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m threedim_jax.benchmark`: a table, and a JSON file if asked.

  python -m threedim_jax.benchmark --config=configs/shapes.py
      [--what=train|sample|data|score|compile|growth|all] [--seconds=10]
      [--out=FILE.json] [--yardstick=PYTHON] [--config.KEY=VALUE ...]

"all" is every part but growth. The largest matrix product per second, which
rows are compared with, is measured before and after; the larger counts.
Programs that are timed are always compiled anew; helpers may be cached.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags
from etils import epath
import jax
from ml_collections import ConfigDict, config_flags

from threedim_jax.benchmark import (
  compiling,
  data,
  growth,
  sampling,
  scoring,
  table,
  timing,
  training,
  yardstick,
)
from threedim_jax.benchmark.timing import Row
from threedim_jax.inputs.view_source import open_split
from threedim_jax.modes import config_flag
from threedim_jax.modes.config_values import check_values
from threedim_jax.runtime import progress
from threedim_jax.runtime.compilation_cache import use_compilation_cache
from threedim_jax.runtime.errors import UserError, exit_with_message
from threedim_jax.workdir.results import write_result

PARTS = {
  "train": training.rows,
  "sample": sampling.rows,
  "data": data.rows,
  "score": scoring.rows,
  "compile": compiling.rows,
  "growth": growth.rows,
}
ALL = ("train", "sample", "data", "score", "compile")
CEILING_SECONDS = 3.0  # at most, of each dtype and number of devices

_CONFIG = config_flag.define_config_flag()
_WHAT = flags.DEFINE_enum(
  "what", "all", [*PARTS, "all"], "Part to measure; all: every one but growth."
)
_OUT = flags.DEFINE_string("out", None, "JSON file to write.")
_SECONDS = flags.DEFINE_float(
  "seconds", 10.0, "Time that a program is repeated for.", lower_bound=0.0
)
_YARDSTICK = flags.DEFINE_string(
  "yardstick", None, "train: a Python that has torch, to compare with."
)


def measure_ceilings(
  config: ConfigDict, seconds: float | int, sizes=None
) -> dict[tuple[str, int], float]:
  """TFLOP/s by (dtype, number of devices)."""
  dtypes = sorted({"float32", config.model.dtype})
  counts = sorted({1, jax.device_count()})
  seconds = min(seconds, CEILING_SECONDS)
  return {
    (dtype, n): timing.matmul_ceiling(dtype, n, seconds, sizes)
    for dtype in dtypes
    for n in counts
  }


def add_fractions(
  rows: Sequence[Row],
  dtype: str,
  before: dict[tuple[str, int], float],
  after: dict[tuple[str, int], float],
) -> list[dict[str, Any]]:
  """Compares each row's TFLOP/s with the larger of two ceilings; these."""
  best = {key: max(before[key], after[key]) for key in before}
  for row in rows:
    if "tflops" in row:
      ceiling = best[dtype, row["devices"]]
      row |= {
        "dtype": dtype,
        "ceiling_tflops": ceiling,
        "fraction": row["tflops"] / ceiling,
      }
  return [
    {
      "dtype": key[0],
      "devices": key[1],
      "tflops": best[key],
      "before": before[key],
      "after": after[key],
    }
    for key in best
  ]


def measure(
  config: ConfigDict,
  what: str,
  seconds: float | int,
  python: str | None = None,
  ceiling_sizes=None,
) -> tuple[list[Row], list[dict[str, Any]]]:
  """(rows, ceilings) of a part or of all.

  Args:
    config: configuration.
    what: a key of `PARTS`, or "all".
    seconds: how long a program is repeated.
    python: of the yardstick, for the part "train".
    ceiling_sizes: of the matrices; None: what fits the platform.

  Raises:
    UserError: no data set, or no yardstick; before anything else is measured.
  """
  names = ALL if what == "all" else (what,)
  if python and "train" not in names:
    raise UserError("--yardstick compares training: give --what=train or all")
  if "data" in names:
    open_split(config, "train")
  rows = []
  with progress.waiting("measure the ceiling"):
    before = measure_ceilings(config, seconds, ceiling_sizes)
  for name in names:
    with progress.waiting(f"measure {name}"):
      if name == "train" and python:
        rows += yardstick.rows(config, seconds, python)
      else:
        rows += PARTS[name](config, seconds)
  with progress.waiting("measure the ceiling again"):
    after = measure_ceilings(config, seconds, ceiling_sizes)
  return rows, add_fractions(rows, config.model.dtype, before, after)


def show(
  config: ConfigDict,
  rows: Sequence[Row],
  ceilings: Sequence[dict[str, Any]],
  overrides: dict[str, Any],
  out: epath.PathLike | None,
) -> None:
  """Prints the table and writes `out`."""
  device = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
  table.print_table(rows, device)
  for c in ceilings:
    print(
      f"ceiling: {c['tflops']:.4g} TFLOP/s, {c['dtype']} matrix product on"
      f" {c['devices']} device{'s' * (c['devices'] > 1)}"
    )
  if out:
    write_result(out, table.report(rows, ceilings, config, overrides))
    print(f"written: {out}")


def check_out(out: str | None) -> None:
  """Before minutes of measuring; UserError if it cannot be written."""
  if out and not epath.Path(out).absolute().parent.is_dir():
    raise UserError(f"--out={out}: its folder does not exist; make it first")


def main(argv: list[str]) -> None:
  with exit_with_message():
    config_flag.parse_or_explain(argv)
    config = _CONFIG.value
    if config is None:
      raise UserError(
        "--config is missing: a file such as --config=configs/shapes.py"
      )
    check_values(config)
    check_out(_OUT.value)
    use_compilation_cache()
    rows, ceilings = measure(
      config, _WHAT.value, _SECONDS.value, _YARDSTICK.value
    )
    flag = flags.FLAGS["config"]
    overrides = dict(config_flags.get_override_values(flag))
    show(config, rows, ceilings, overrides, _OUT.value)
