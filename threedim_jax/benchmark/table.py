# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Shows rows as a table on standard output."""

from collections.abc import Sequence

import rich.console
import rich.table

from threedim_jax.benchmark.timing import Row

WIDTH = 140  # of a table that is not on a terminal


def show_seconds(seconds: float | None) -> str:
  if seconds is None:
    return "-"
  return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def cells(row: Row) -> dict[str, str]:
  """Texts by column; "-" for what a row does not have."""
  get = row.get
  size = get("program_bytes")
  return {
    "what": row["what"],
    "name": row["name"],
    "seconds": show_seconds(get("seconds")),
    "fastest": show_seconds(get("fastest")),
    "rate": f"{row['rate']:.4g} {row['unit']}" if get("unit") else "-",
    "TFLOP/s": f"{row['tflops']:.4g}" if get("tflops") else "-",
    "of ceiling": f"{row['fraction']:.1%}" if get("fraction") else "-",
    "program": f"{size / 2**20:,.1f} MiB" if size else "-",
    "compile": show_seconds(get("compile_seconds")),
    "note": get("note", ""),
  }


def print_table(rows: Sequence[Row], title: str) -> None:
  console = rich.console.Console()
  if not console.is_terminal:
    console = rich.console.Console(width=WIDTH)
  table = rich.table.Table(title=title)
  texts = [cells(row) for row in rows]
  for column in texts[0]:
    table.add_column(column, overflow="fold")
  for row in texts:
    table.add_row(*row.values())
  console.print(table)
