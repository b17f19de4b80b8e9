# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Rows as a table on standard output, and as strict JSON in a file."""

from collections.abc import Sequence
import os
from typing import Any

import jax
from ml_collections import ConfigDict
import rich.console
import rich.table

from threedim_jax.benchmark.timing import Row
from threedim_jax.workdir.results import provenance

COLUMNS = (
  "what", "name", "seconds", "fastest", "rate", "TFLOP/s", "of ceiling",
  "program", "peak", "compile", "note",
)  # fmt: skip
WIDTH = 160  # of a table that is not on a terminal


def show_seconds(seconds: float | None) -> str:
  if seconds is None:
    return "-"
  return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def show_bytes(size: int | None) -> str:
  return "-" if size is None else f"{size / 2**20:,.1f} MiB"


def cells(row: Row) -> list[str]:
  """Texts of `COLUMNS`; "-" for what a row does not have."""
  get = row.get
  show = lambda key, text: text.format(row[key]) if get(key) else "-"
  return [
    row["what"],
    row["name"],
    show_seconds(get("seconds")),
    show_seconds(get("fastest")),
    f"{row['rate']:.4g} {row['unit']}" if get("rate") else "-",
    show("tflops", "{:.4g}"),
    show("fraction", "{:.1%}"),
    show_bytes(get("program_bytes")),
    show_bytes(get("device_peak_bytes")),
    show_seconds(get("compile_seconds")),
    get("note", ""),
  ]


def make_table(rows: Sequence[Row], title: str) -> rich.table.Table:
  table = rich.table.Table(title=title)
  for column in COLUMNS:
    table.add_column(column, overflow="fold")
  for row in rows:
    table.add_row(*cells(row))
  return table


def print_table(rows: Sequence[Row], title: str) -> None:
  console = rich.console.Console()
  if not console.is_terminal:
    console = rich.console.Console(width=WIDTH)
  console.print(make_table(rows, title))


def report(
  rows: Sequence[Row],
  ceilings: Sequence[dict[str, Any]],
  config: ConfigDict,
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
