# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Prints a table of measured speeds, and writes a JSON file if asked.

  python -m threedim_jax.benchmark --config=configs/shapes.py
      [--what=train|sample|data|score|compile|all] [--seconds=10]
      [--out=FILE.json] [--config.KEY=VALUE ...]
  python -m threedim_jax.benchmark --what=tpu --out=FOLDER   # see `tpu`

Where the table gives a program's TFLOP/s, it also gives them as a fraction of a
ceiling. The ceiling is the TFLOP/s of the fastest matrix product on the same
number of devices, in the network's dtype. The ceiling is measured before and
after all parts of the benchmark, and the higher speed is used.
"""

from collections.abc import Sequence
import os
from typing import Any

from absl import flags
from etils import epath
import jax
from ml_collections import ConfigDict, config_flags

from threedim_jax.benchmark import timing, tpu
from threedim_jax.benchmark.parts import PARTS, open_batches
from threedim_jax.benchmark.timing import Row
from threedim_jax.modes import config_flag
from threedim_jax.modes.config_values import check_values
from threedim_jax.runtime import progress
from threedim_jax.runtime.compilation_cache import use_compilation_cache
from threedim_jax.runtime.disk import absolute, write_probe
from threedim_jax.runtime.errors import UserError, exit_with_message
from threedim_jax.viewing.page import Cell, Table
from threedim_jax.viewing.tables import print_table
from threedim_jax.workdir.results import provenance, write_result

CEILING_SECONDS = 3.0  # longest time to measure one ceiling

_CONFIG = config_flag.define_config_flag()
_WHAT = flags.DEFINE_enum(
  "what",
  "all",
  [*PARTS, "all", "tpu"],
  "The part to measure. all: every part except tpu.",
)
_OUT = flags.DEFINE_string(
  "out",
  None,
  "JSON file to write. With --what=tpu: a folder, for a file per program.",
)
_SECONDS = flags.DEFINE_float(
  "seconds", 10.0, "How long each program is repeated.", lower_bound=0.0
)


def measure(
  config: ConfigDict,
  what: str,
  seconds: float | int,
  ceiling_sizes: Sequence[int] | None = None,
) -> tuple[list[Row], list[dict[str, Any]]]:
  """Measures one part of the benchmark, or all parts.

  Args:
    config: complete configuration of a run.
    what: name of the part, a key of `PARTS`; "all" measures every part.
    seconds: how long to repeat each program of the part, in seconds.
    ceiling_sizes: side lengths of the square matrices to multiply when
      measuring the ceiling; None uses sizes that suit the platform.

  Returns:
    (rows from `make_row`, ceilings). Each ceiling is the speed of the fastest
    matrix product: a dictionary with the keys "dtype", "devices" and "tflops".

  Raises:
    UserError: `what` includes the part "data", but there is no data set. This
      is checked before anything is measured.
  """
  names = list(PARTS) if what == "all" else [what]
  if "data" in names:
    open_batches(config)
  kinds = [
    (dtype, num_devices)
    for dtype in sorted({"float32", config.model.dtype})
    for num_devices in sorted({1, jax.device_count()})
  ]

  def measure_ceilings() -> list[float]:
    with progress.waiting("measure the ceiling"):
      most = min(seconds, CEILING_SECONDS)
      return [timing.matmul_ceiling(*k, most, ceiling_sizes) for k in kinds]

  before, rows = measure_ceilings(), []
  with progress.bar("measure", total=len(names), unit="part") as bar:
    for name in names:
      bar.advance(0, note=name)
      rows += PARTS[name](config, seconds)
      bar.advance()
  best = map(max, before, measure_ceilings())
  ceilings = dict(zip(kinds, best, strict=True))
  for row in rows:
    if "tflops" in row:
      ceiling = ceilings[config.model.dtype, row["devices"]]
      row["dtype"] = config.model.dtype
      row["ceiling_tflops"] = ceiling
      row["fraction"] = row["tflops"] / ceiling
  return rows, [
    {"dtype": dtype, "devices": num_devices, "tflops": tflops}
    for (dtype, num_devices), tflops in ceilings.items()
  ]


def report(
  config: ConfigDict,
  rows: Sequence[Row],
  ceilings: Sequence[dict[str, Any]],
  overrides: dict[str, Any],
) -> dict[str, Any]:
  """Returns the content of the benchmark's JSON file, as a dictionary.

  `rows` and `ceilings` are from `measure`. `overrides` is {key: value} from the
  flags --config.KEY=VALUE. The result holds all four arguments, the version of
  the code, and facts about the machine.
  """
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
  """Prints a table of the rows from `measure`, then a line for each ceiling."""
  texts = [_texts(row) for row in rows]
  heads = [Cell(column) for column in texts[0]]
  lines = [[Cell(text) for text in row.values()] for row in texts]
  device = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
  print_table(Table(lines, heads), device)
  for c in ceilings:
    print(
      f"ceiling: {c['tflops']:.4g} TFLOP/s, {c['dtype']} matrix product on"
      f" {c['devices']} device{'s' * (c['devices'] > 1)}"
    )


def _texts(row: Row) -> dict[str, str]:
  """Returns a row's printed cells, {column: text}; "-" if not measured."""
  texts = {
    "what": row["what"],
    "name": row["name"],
    "seconds": _seconds_text(row["seconds"]),
    "fastest": _seconds_text(row["fastest"]),
    "rate": f"{row['rate']:.4g} {row['unit']}",
    **dict.fromkeys(("TFLOP/s", "of ceiling", "program", "compile"), "-"),
    "note": row.get("note", ""),
  }
  if "tflops" in row:
    texts["TFLOP/s"] = f"{row['tflops']:.4g}"
    texts["of ceiling"] = f"{row['fraction']:.1%}"
  if row.get("program_bytes"):
    texts["program"] = f"{row['program_bytes'] / 2**20:,.1f} MiB"
  if "compile_seconds" in row:
    texts["compile"] = _seconds_text(row["compile_seconds"])
  return texts


def _seconds_text(seconds: float) -> str:
  return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def _check_out(out: str, what: str) -> None:
  """Raises an error if the results could not be written to `--out`.

  `what` is the value of `--what`. If it is "tpu", `out` is a folder, which need
  not exist. Otherwise `out` is a file in a folder that exists.

  Raises:
    UserError: nothing can be written there.
  """
  path = absolute(out)
  is_file = what != "tpu"
  folder = path.parent if is_file else path
  if is_file and path.is_dir():
    raise UserError(
      f"--out={out} is a folder: name a file in it, for example"
      f" --out={epath.Path(out) / 'benchmark.json'}"
    )
  if is_file and not folder.is_dir():
    raise UserError(f"--out={out}: its folder does not exist; make it first")
  try:
    write_probe(folder)
  except OSError as e:
    raise UserError(
      f"--out={out}: {folder} cannot be written to ({e.strerror}); name another"
      " place"
    ) from e


def main(argv: list[str]) -> None:
  if any(word in config_flag.HELP_WORDS for word in argv[1:]):
    print(__doc__)
    print(flags.FLAGS.module_help(__name__))
    return
  with exit_with_message():
    config_flag.parse_or_explain(argv)
    config, out = _CONFIG.value, _OUT.value
    if _WHAT.value == "tpu":
      if not out:
        raise UserError(
          "--what=tpu needs --out=FOLDER: it writes its files there, and"
          " resumes from them"
        )
      _check_out(out, "tpu")
      tpu.run(epath.Path(out))
      return
    if config is None:
      raise UserError(
        "--config is missing: a file such as --config=configs/shapes.py"
      )
    check_values(config)
    if out:
      _check_out(out, _WHAT.value)
    use_compilation_cache()
    rows, ceilings = measure(config, _WHAT.value, _SECONDS.value)
    show(rows, ceilings)
    if out:
      overrides = config_flags.get_override_values(flags.FLAGS["config"])
      write_result(out, report(config, rows, ceilings, dict(overrides)))
      print(f"written: {out}")
