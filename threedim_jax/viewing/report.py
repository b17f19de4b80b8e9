# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes one self-contained page about a run, from the files in its workdir.

  python -m threedim_jax.viewing.report --workdir=W [--summary]  # W/report.html

If a part of the run is missing, the page says how to make that part. The report
loads no model, so it also works for samples of another method.
"""

import argparse
from typing import Any

from etils import epath

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN, NUM_LOGSNR_BINS
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError, exit_with_message
from threedim_jax.runtime.progress import duration
from threedim_jax.viewing.curves import loss_curve
from threedim_jax.viewing.page import (
  Card,
  Cell,
  Drawing,
  Gallery,
  Table,
  Text,
  data_uri,
  facts_table,
  write_page,
)
from threedim_jax.viewing.published import published_blocks
from threedim_jax.viewing.score_page import consistency_blocks
from threedim_jax.viewing.tables import (
  RANKED_BY,
  averaging,
  print_scores,
  print_table,
  ranked_objects,
  score_table,
  score_text,
  score_texts,
)
from threedim_jax.viewing.viewer import HOW_TO, orbit
from threedim_jax.workdir import samples
from threedim_jax.workdir.evaluation_files import samples_dir
from threedim_jax.workdir.run import EVAL_LOSS, TRAIN_LOSS, Run, read_run

MAX_OBJECTS = 8  # shown with all views; a page with hundreds would not open
MAX_VIEWS = 24  # of each object that is shown with its scores
MAX_GRIDS = 4
PIXELATE_BELOW = 400  # pixels; narrower grids are shown with square pixels
HEADLINES = {"psnr_u8": "PSNR", "ssim_gauss11": "SSIM (Gaussian)"}


def write_report(workdir: epath.PathLike) -> epath.Path:
  """Writes `report.html` into `workdir`, and returns the path of the file.

  Raises:
    UserError: there is no such folder, or a file with numbers is damaged.
  """
  run = read_run(workdir)
  with progress.waiting("write the report"):
    return write_page(
      run.workdir / "report.html",
      run.workdir.name,
      kind="report of a run",
      summary=_summary(run),
      figures=_figures(run),
      sections={
        "New views": _new_views(run),
        "Scores": _scores(run),
        "3D consistency": _consistency(run),
        "Published numbers": published_blocks(run),
        "Training": _training(run),
        "Time": _time(run),
        "Configuration": _configuration(run),
        "Provenance": _provenance(run),
      },
    )


def _summary(run: Run) -> str:
  """Returns a sentence that says what was trained, and for how many steps."""
  if run.last_step is None:
    return "Nothing was trained in this folder."
  text = f"Trained for {run.last_step:,} steps on {run.data_set or 'some data'}"
  if source := run.setting("train", "init_from"):  # a name or a workdir
    text += f" from the weights of {source}"
  if resolution := run.setting("data", "resolution"):
    text += f" at {resolution}x{resolution} pixels"
  return text + "."


def _figures(run: Run) -> dict[str, str]:
  """Returns the large numbers at the top of the page, as {label: text}."""
  figures = {}
  row = run.evaluation.rows.get("model", {}) if run.evaluation else {}
  for metric, label in HEADLINES.items():
    if metric in row:
      figures[label] = score_text(metric, row[metric])
  for folder, scores in run.consistency.items():
    row = scores.rows.get(scores.subject, {})
    if RANKED_BY in row:
      label = f"consistency, {folder}"
      figures[label] = score_text(RANKED_BY, row[RANKED_BY])
  if run.last_loss is not None:
    figures["last loss"] = f"{run.last_loss:.4g}"
  if run.examples is not None:
    figures["examples"] = f"{run.examples:,}"
  if run.timings:
    figures["wall time"] = duration(sum(run.timings.values()))
  return figures


def _not_run(run: Run, mode: str) -> Text:
  command = "python -m threedim_jax.main --config=CONFIG.py"
  command += f" --workdir={run.workdir} --mode={mode}"
  return Text("Not run yet:", command, "card quiet")


def _object(parent: epath.Path, object_id: str, **options: Any) -> Any:
  """Makes a page block with an object's views, or with the error in its files.

  Args:
    parent: folder that holds the objects' folders.
    **options: further arguments for `viewer.orbit`.
  """
  try:
    folder = parent / samples.folder_name(object_id)
    return orbit(samples.read_sample(folder), **options)
  except UserError as e:
    return Card([Text(str(e), style="missing")], title=object_id)


def _new_views(run: Run) -> list[Any]:
  if not run.folders:
    return [_not_run(run, "sample")]
  shown = run.folders[:MAX_OBJECTS]
  text = (
    f"{len(shown)} of {len(run.folders)} objects in"
    f" {run.folders[0].parent.name}/. {HOW_TO} The strip shows each generated"
    " view over the true one, with its PSNR, where the truth is known."
  )
  return [Text(text), *(_object(f.parent, f.name) for f in shown)]


def _scores(run: Run) -> list[Any]:
  scores = run.evaluation
  if scores is None or not scores.rows:
    return [_not_run(run, "evaluate")]
  card = [
    score_table(scores),
    Text(averaging(scores, "generated views")),
    *map(Text, scores.remarks),
  ]
  if scores.protocol:
    table = facts_table(scores.protocol)
    card.append(Card([table], summary="The protocol in full"))
  text = f"Best, median and worst object by {RANKED_BY} of “{scores.subject}”:"
  blocks = [Card(card), Text(text)]
  for object_id, rank in ranked_objects(scores, 3):
    block = _object(
      samples_dir(run.workdir, 0),
      object_id,
      label=rank,
      numbers=score_texts(scores.objects[object_id].rows),
      max_views=MAX_VIEWS,
    )
    blocks.append(block)
  return blocks


def _consistency(run: Run) -> list[Any]:
  blocks = []
  for folder, scores in run.consistency.items():
    page = run.workdir / f"{folder}_consistency" / "consistency.html"
    link = Text("Pictures of every object:", str(page))
    card = [*consistency_blocks(scores), link]
    blocks.append(Card(card, title=f"Views in {folder}/"))
  return blocks


def _training(run: Run) -> list[Any]:
  if TRAIN_LOSS not in run.metrics:
    return [_not_run(run, "train")]
  width = (LOGSNR_MAX - LOGSNR_MIN) / NUM_LOGSNR_BINS
  bins = {}
  for i in range(NUM_LOGSNR_BINS):
    low = LOGSNR_MIN + i * width
    name = f"{TRAIN_LOSS}_logsnr_bin_{i}"
    if name in run.metrics:
      bins[f"{low:.0f} to {low + width:.0f}"] = run.metrics[name]
  evaluated = run.metrics.get(EVAL_LOSS, [])
  svg = loss_curve(run.metrics[TRAIN_LOSS], evaluated=evaluated, bins=bins)
  blocks = [Card([Drawing(svg)])]
  if run.grids:
    blocks.append(Card([Gallery(list(map(_grid, run.grids[-MAX_GRIDS:])))]))
  else:
    text = "No sample grids yet: they are drawn every train.eval_every_steps."
    blocks.append(Text(text, style="card quiet"))
  return blocks


def _grid(path: epath.Path) -> tuple[str, str, str]:
  """Reads a picture that was drawn during training, as an entry of a `Gallery`.

  Args:
    path: a PNG file named <step>_<tag>.png.

  Returns:
    (data URI, caption, CSS class).
  """
  data = path.read_bytes()
  step, _, tag = path.stem.partition("_")
  width = int.from_bytes(data[16:20], "big")  # from the header of a PNG
  caption = f"step {int(step):,} · {tag}" if step.isdigit() else path.stem
  return data_uri(data), caption, "pixelated" * (width < PIXELATE_BELOW)


def _time(run: Run) -> list[Any]:
  if not run.timings:
    text = "Not measured yet: every mode adds its time to timings.json."
    return [Text(text, style="card quiet")]
  total = sum(run.timings.values()) or 1.0
  rows = [
    [Cell(stage), Cell(duration(s)), Cell("", percent=100 * s / total)]
    for stage, s in run.timings.items()
  ]
  return [Card([Table(rows, style="shares")])]


def _configuration(run: Run) -> list[Any]:
  if not run.config:
    return [_not_run(run, "train")]
  table = facts_table(run.config)
  return [Card([table], summary=f"{len(table.rows)} values")]


def _provenance(run: Run) -> list[Any]:
  """Makes a page block that names the weights and code behind the scores.

  The configuration is left out, because it has its own section.
  """
  facts = dict(run.evaluation.provenance) if run.evaluation else {}
  facts.pop("config", None)
  return [Card([facts_table({"workdir": str(run.workdir)} | facts)])]


def print_summary(workdir: epath.PathLike) -> None:
  """Prints tables with the times, scores and counts of a run."""
  run = read_run(workdir)
  facts = {stage: duration(s) for stage, s in run.timings.items()}
  facts |= _figures(run) | {"objects with new views": str(len(run.folders))}
  rows = [[Cell(key), Cell(value)] for key, value in facts.items()]
  print_table(Table(rows), f"Summary of {run.workdir}")
  if run.evaluation:
    print_scores(run.evaluation, "Scores")
  for folder, scores in run.consistency.items():
    print_scores(scores, f"3D consistency of {folder}")


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--workdir", required=True, help="folder of the run")
  parser.add_argument("--summary", action="store_true", help="print tables")
  args = parser.parse_args()
  with exit_with_message():
    if args.summary:
      print_summary(args.workdir)
    print(write_report(args.workdir))


if __name__ == "__main__":
  main()
