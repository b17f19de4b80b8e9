# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m threedim_jax.benchmark`: a table, and a JSON file if asked.

  python -m threedim_jax.benchmark --config=configs/shapes.py
      [--what=train|sample|data|score|compile|all] [--seconds=10]
      [--out=FILE.json] [--config.KEY=VALUE ...]
  python -m threedim_jax.benchmark --what=tpu --out=FOLDER   # see `tpu`

Rows are compared with the fastest matrix product on this machine. It is
measured before and after, and the larger one counts. Programs that are timed
are always compiled anew.
"""

from collections.abc import Sequence
import os
from typing import Any

from absl import flags
from etils import epath
import jax
from ml_collections import ConfigDict, config_flags

from threedim_jax.benchmark import table, timing, tpu
from threedim_jax.benchmark.parts import PARTS, open_batches
from threedim_jax.benchmark.timing import Row
from threedim_jax.modes import config_flag
from threedim_jax.modes.config_values import check_values
from threedim_jax.runtime import progress
from threedim_jax.runtime.compilation_cache import use_compilation_cache
from threedim_jax.runtime.errors import UserError, exit_with_message
from threedim_jax.workdir.results import provenance, write_result

CEILING_SECONDS = 3.0  # at most, of each dtype and number of devices

_CONFIG = config_flag.define_config_flag()
_WHAT = flags.DEFINE_enum(
  "what", "all", [*PARTS, "all", "tpu"], "Part to measure; all: without tpu."
)
_OUT = flags.DEFINE_string(
  "out", None, "JSON file to write; of tpu, a folder with a file per program."
)
_SECONDS = flags.DEFINE_float(
  "seconds", 10.0, "Time that a program is repeated for.", lower_bound=0.0
)


def measure_ceilings(
  config: ConfigDict, seconds: float | int, sizes=None
) -> dict[tuple[str, int], float]:
  """TFLOP/s by (dtype, number of devices)."""
  seconds = min(seconds, CEILING_SECONDS)
  return {
    (dtype, n): timing.matmul_ceiling(dtype, n, seconds, sizes)
    for dtype in sorted({"float32", config.model.dtype})
    for n in sorted({1, jax.device_count()})
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
    {"dtype": dtype, "devices": n, "tflops": ceiling}
    for (dtype, n), ceiling in best.items()
  ]


def measure(
  config: ConfigDict, what: str, seconds: float | int, ceiling_sizes=None
) -> tuple[list[Row], list[dict[str, Any]]]:
  """Returns the rows and the ceilings of a part, or of all.

  Args:
    config: a whole configuration.
    what: a key of `PARTS`, or "all".
    seconds: how long a program is repeated.
    ceiling_sizes: of the matrices; None: what fits the platform.

  Raises:
    UserError: no data set. It is looked for before anything is measured.
  """
  names = list(PARTS) if what == "all" else [what]
  if "data" in names:
    open_batches(config)
  rows = []
  with progress.waiting("measure the ceiling"):
    before = measure_ceilings(config, seconds, ceiling_sizes)
  with progress.bar("measure", total=len(names), unit="part") as bar:
    for name in names:
      bar.advance(0, note=name)
      rows += PARTS[name](config, seconds)
      bar.advance()
  with progress.waiting("measure the ceiling again"):
    after = measure_ceilings(config, seconds, ceiling_sizes)
  return rows, add_fractions(rows, config.model.dtype, before, after)


def report(
  config: ConfigDict,
  rows: Sequence[Row],
  ceilings: Sequence[dict[str, Any]],
  overrides: dict[str, Any],
) -> dict[str, Any]:
  """Everything that somebody who doubts a number would ask for."""
  return {
    "rows": list(rows),
    "ceilings": list(ceilings),
    "provenance": provenance(),
    "platform": jax.default_backend(),
    "device_count": jax.device_count(),
    "cpu_count": os.cpu_count(),
    "xla_flags": os.environ.get("XLA_FLAGS", ""),
    "overrides": overrides,
    "config": config.to_dict(),
  }


def show(rows: Sequence[Row], ceilings: Sequence[dict[str, Any]]) -> None:
  """Prints the table and the ceilings."""
  device = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
  table.print_table(rows, device)
  for c in ceilings:
    print(
      f"ceiling: {c['tflops']:.4g} TFLOP/s, {c['dtype']} matrix product on"
      f" {c['devices']} device{'s' * (c['devices'] > 1)}"
    )


def main(argv: list[str]) -> None:
  with exit_with_message():
    config_flag.parse_or_explain(argv)
    config, out = _CONFIG.value, _OUT.value
    if _WHAT.value == "tpu":
      if not out:
        raise UserError("--what=tpu needs --out=FOLDER, where it resumes")
      tpu.run(epath.Path(out))
      return
    if config is None:
      raise UserError(
        "--config is missing: a file such as --config=configs/shapes.py"
      )
    check_values(config)
    if out and not epath.Path(out).absolute().parent.is_dir():
      raise UserError(f"--out={out}: its folder does not exist; make it first")
    use_compilation_cache()
    rows, ceilings = measure(config, _WHAT.value, _SECONDS.value)
    show(rows, ceilings)
    if out:
      overrides = config_flags.get_override_values(flags.FLAGS["config"])
      write_result(out, report(config, rows, ceilings, dict(overrides)))
      print(f"written: {out}")
