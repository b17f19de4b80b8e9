# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""One self-contained page about a run, made from the files in its workdir.

  python -m threedim_jax.viewing.report --workdir=W [--summary]  # W/report.html

Every part of a run may be missing: its section then says how to get it. No
model is loaded, so a page can be made of another method's samples, too.
"""

import argparse
from collections.abc import Mapping
from typing import Any

from etils import epath
from flax.traverse_util import flatten_dict
import rich
import rich.table

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN, NUM_LOGSNR_BINS
from threedim_jax.runtime import progress
from threedim_jax.runtime.disk import write_atomically
from threedim_jax.runtime.errors import UserError, exit_with_message
from threedim_jax.viewing.curves import loss_curve
from threedim_jax.viewing.report_scores import score_sections
from threedim_jax.viewing.score_table import score_text
from threedim_jax.viewing.viewer import (
  data_uri,
  object_context,
  render_page,
  write_viewer,
)
from threedim_jax.workdir import samples
from threedim_jax.workdir.run import EVAL_LOSS, TRAIN_LOSS, Run, read_run
from threedim_jax.workdir.scores import Rows

__all__ = ["summary_table", "write_report", "write_viewer"]

MAX_OBJECTS = 8  # with all their frames; a page of hundreds would not open
MAX_GRIDS = 4
PIXELATE_BELOW = 400  # pixels: narrower grids are shown with square pixels
HEADLINES = {"psnr_u8": "PSNR", "ssim_skimage7": "SSIM (7x7)"}


def write_report(workdir: epath.PathLike) -> epath.Path:
  """Writes `report.html` into `workdir` and returns its path."""
  run = read_run(workdir)
  with progress.waiting("write the report"):
    page = render_page(
      "report.html",
      title=run.workdir.name,
      summary=_summary(run),
      figures=_figures(run),
      objects=[_object(f) for f in run.folders[:MAX_OBJECTS]],
      num_objects=len(run.folders),
      **score_sections(run),
      curve=_curve(run),
      grids=[_grid(path) for path in run.grids[-MAX_GRIDS:]],
      timings=_timings(run.timings),
      config=list(flatten_dict(run.config or {}, sep=".").items()),
      provenance=_provenance(run),
      command=f"python -m threedim_jax.main --config=CONFIG.py"
      f" --workdir={run.workdir}",
    )
  path = run.workdir / "report.html"
  write_atomically(path, page)
  return path


def duration(seconds: float | int) -> str:
  """21.4 s, 5 min 41 s, 2 h 03 min."""
  if seconds < 60:
    return f"{seconds:.1f} s"
  minutes, rest = divmod(round(seconds), 60)
  if minutes < 60:
    return f"{minutes} min {rest:02d} s"
  return f"{minutes // 60} h {minutes % 60:02d} min"


# --------------------------------------------------------------- sections


def _summary(run: Run) -> str:
  """The run in a few plain sentences."""
  sentences = []
  if run.last_step is not None:
    text = f"Trained for {run.last_step:,} steps"
    if run.examples is not None:
      text += f" ({run.examples:,} examples)"
    text += f" on {run.data_set}" if run.data_set else ""
    if source := run.setting("train", "init_from"):  # a name or a workdir
      text += f" from the weights of {source}"
    if resolution := run.setting("data", "resolution"):
      text += f" at {resolution}x{resolution} pixels"
    if run.last_loss is not None:
      text += f"; the loss was last {run.last_loss:.4g}"
    sentences.append(text + ".")
  if run.folders:
    count = len(run.folders)
    sentences.append(
      f"New views of {count} object{'s' * (count > 1)} lie in"
      f" {run.folders[0].parent.name}/."
    )
  rows = _score_rows(run)
  if "psnr_u8" in rows.get("model", {}):
    text = f"On held-out objects PSNR is {rows['model']['psnr_u8']:.2f} dB"
    if "psnr_u8" in rows.get("copy input", {}):
      text += (
        f"; copying the input gives {rows['copy input']['psnr_u8']:.2f} dB"
      )
    sentences.append(text + ".")
  return " ".join(sentences) or "Nothing has been run in this folder yet."


def _figures(run: Run) -> list[tuple[str, str]]:
  """The few numbers that stand out at the top: (label, value)."""
  figures = []
  model = _score_rows(run).get("model", {})
  for metric, label in HEADLINES.items():
    if metric in model:
      figures.append((label, score_text(metric, model[metric])))
  for folder, scores in run.consistency.items():
    numbers = scores.rows.get(scores.subject, {})
    if "psnr_u8" in numbers:
      value = score_text("psnr_u8", numbers["psnr_u8"])
      figures.append((f"consistency, {folder}", value))
  if run.last_loss is not None:
    figures.append(("last loss", f"{run.last_loss:.4g}"))
  if run.examples is not None:
    figures.append(("examples", f"{run.examples:,}"))
  if run.timings:
    figures.append(("wall time", duration(sum(run.timings.values()))))
  return figures


def _object(folder: epath.Path) -> dict[str, Any]:
  """One object for `object.html`, or why it cannot be shown."""
  try:
    return object_context(samples.read_sample(folder))
  except UserError as e:
    return {"object_id": folder.name, "error": str(e)}


def _score_rows(run: Run) -> Rows:
  return run.evaluation.rows if run.evaluation else {}


def _curve(run: Run) -> str | None:
  """The loss curves as SVG for the page."""
  if TRAIN_LOSS not in run.metrics:
    return None
  width = (LOGSNR_MAX - LOGSNR_MIN) / NUM_LOGSNR_BINS
  bins = {}
  for i in range(NUM_LOGSNR_BINS):
    low = LOGSNR_MIN + i * width
    name = f"{TRAIN_LOSS}_logsnr_bin_{i}"
    if name in run.metrics:
      bins[f"{low:.0f} to {low + width:.0f}"] = run.metrics[name]
  evaluated = run.metrics.get(EVAL_LOSS, [])
  svg = loss_curve(run.metrics[TRAIN_LOSS], evaluated=evaluated, bins=bins)
  return svg.decode()


def _grid(path: epath.Path) -> dict[str, Any]:
  """A training picture; its name is <step>_<tag>.png."""
  data = path.read_bytes()
  step, _, tag = path.stem.partition("_")
  width = int.from_bytes(data[16:20], "big")  # in the header of a PNG
  return {
    "src": data_uri(data),
    "caption": f"step {int(step):,}" if step.isdigit() else step,
    "tag": tag,
    "pixelated": width < PIXELATE_BELOW,
  }


def _timings(timings: Mapping[str, float | int] | None) -> list[dict[str, Any]]:
  total = sum((timings or {}).values()) or 1.0
  return [
    {
      "stage": stage,
      "time": duration(seconds),
      "percent": 100 * seconds / total,
    }
    for stage, seconds in (timings or {}).items()
  ]


def _provenance(run: Run) -> list[tuple[str, Any]]:
  """Where the numbers come from; the configuration has its own section."""
  facts = dict(run.evaluation.provenance) if run.evaluation else {}
  facts.pop("config", None)
  return [("workdir", str(run.workdir)), *flatten_dict(facts, sep=".").items()]


# ------------------------------------------------------------------ table


def summary_table(workdir: epath.PathLike) -> rich.table.Table:
  """What a run did, for the end of a terminal session."""
  run = read_run(workdir)
  table = rich.table.Table(title=f"Summary of {run.workdir}", show_header=False)
  table.add_column("what", style="bold")
  table.add_column("value", justify="right")
  for row in _timings(run.timings):
    table.add_row(row["stage"], row["time"])
  if run.timings:
    table.add_row("all stages", duration(sum(run.timings.values())))
    table.add_section()
  if run.examples is not None:
    table.add_row("examples trained", f"{run.examples:,}")
  if run.last_loss is not None:
    table.add_row("last loss", f"{run.last_loss:.4g}")
  for metric, label in HEADLINES.items():
    for name, row in _score_rows(run).items():
      if metric in row:
        table.add_row(f"{label}, {name}", score_text(metric, row[metric]))
  for folder, scores in run.consistency.items():
    for name, row in scores.rows.items():
      if "psnr_u8" in row:
        value = score_text("psnr_u8", row["psnr_u8"])
        table.add_row(f"consistency of {folder}, {name}", value)
  table.add_section()
  pictures = sum(
    1 for f in run.folders for p in f.glob("*.png") if p.stem.isdigit()
  )
  table.add_row("objects / views generated", f"{len(run.folders)} / {pictures}")
  for name in ("report.html", run.folders and run.folders[0].parent.name):
    if name and (run.workdir / name).exists():
      table.add_row("written", str(run.workdir / name))
  return table


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--workdir", required=True, help="folder of the run")
  parser.add_argument("--summary", action="store_true", help="print a table")
  args = parser.parse_args()
  with exit_with_message():
    print(write_report(args.workdir))
    if args.summary:
      rich.print(summary_table(args.workdir))


if __name__ == "__main__":
  main()
