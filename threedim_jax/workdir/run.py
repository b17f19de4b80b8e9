# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a run left in its workdir, read without the code that wrote it.

run = read_run("runs/x")
run.config, run.metrics["train/loss"], run.evaluation, run.consistency
"""

from collections.abc import Sequence
import dataclasses
import json
import math
from typing import Any

from etils import epath

from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir import samples
from threedim_jax.workdir.evaluation_files import (
  FIRST_SAMPLES,
  RESULT_FILE,
  list_finished,
  samples_dir,
)
from threedim_jax.workdir.scores import Scores, read_json, read_scores

Curve = Sequence[tuple[int, float]]  # (step, value), ascending
TRAIN_LOSS, EVAL_LOSS = "train/loss", "eval/loss"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
  """What the files of a workdir say; None or empty where there is none."""

  workdir: epath.Path
  config: dict[str, Any] | None
  metrics: dict[str, Curve]  # by name: (step, value), ascending steps
  timings: dict[str, float | int] | None  # seconds by stage
  evaluation: Scores | None
  consistency: dict[str, Scores]  # by the folder whose views were scored
  folders: list[epath.Path]  # finished samples
  grids: list[epath.Path]  # training pictures, oldest first

  def setting(self, *keys: str) -> Any:
    """A value of the configuration, or None."""
    value = self.config
    for key in keys:
      if not isinstance(value, dict) or key not in value:
        return None
      value = value[key]
    return value

  @property
  def data_set(self) -> str:
    """As in shapes/chairs_32; empty if it is not known."""
    parts = [self.setting("data", key) for key in ("name", "config")]
    return "/".join(str(part) for part in parts if part is not None)

  @property
  def last_step(self) -> int | None:
    steps = [curve[-1][0] for curve in self.metrics.values()]
    return max(steps, default=None)

  @property
  def examples(self) -> int | None:
    """Examples trained on so far."""
    batch_size = self.setting("train", "batch_size")
    if self.last_step is None or batch_size is None:
      return None
    return self.last_step * batch_size

  @property
  def last_loss(self) -> float | None:
    """As logged last: the mean over the steps since the one before."""
    if TRAIN_LOSS not in self.metrics:
      return None
    return self.metrics[TRAIN_LOSS][-1][1]


def read_run(workdir: epath.PathLike) -> Run:
  """Reads whatever is there; UserError if a file is damaged."""
  workdir = epath.Path(workdir)
  if not workdir.is_dir():
    raise UserError(f"There is no folder {workdir} to report on.")
  images = workdir / "images"
  # Evaluation keeps its samples apart; they will do if there are no others.
  folders = samples.list_complete(workdir / "samples")
  folders = folders or list_finished(samples_dir(workdir, 0))
  return Run(
    workdir=workdir,
    config=read_json(workdir / "config.json"),
    metrics=_read_metrics(workdir / "metrics.jsonl"),
    timings=read_json(workdir / "timings.json"),
    evaluation=read_scores(workdir / RESULT_FILE),
    consistency={
      name: scores
      for name in ("samples", FIRST_SAMPLES)
      if (scores := read_scores(_consistency_file(workdir, name)))
    },
    folders=folders,
    grids=sorted(images.glob("*.png")) if images.is_dir() else [],
  )


def _consistency_file(workdir: epath.Path, name: str) -> epath.Path:
  """Where --mode=score puts its numbers on the views in `workdir`/`name`."""
  return workdir / f"{name}_consistency" / "consistency.json"


def _read_metrics(path: epath.Path) -> dict[str, Curve]:
  """Curves by name. Later lines win: a resumed run repeats some steps."""
  values: dict[str, dict[int, float]] = {}
  lines = path.read_text().splitlines() if path.exists() else []
  for number, line in enumerate(lines, start=1):
    try:
      row = json.loads(line)
      step = int(row.pop("step"))
      row = {name: float(value) for name, value in row.items()}  # "nan", too
    except (AttributeError, KeyError, TypeError, ValueError) as e:
      if number == len(lines):  # still being written
        break
      raise UserError(
        f"{path}, line {number} is not an object of numbers with a step:"
        " delete that line."
      ) from e
    for name, value in row.items():
      if math.isfinite(value):
        values.setdefault(name, {})[step] = value
  return {name: sorted(curve.items()) for name, curve in values.items()}
