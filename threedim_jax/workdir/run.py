# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the files that a run wrote to its workdir.

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
from threedim_jax.workdir.config_file import read_config
from threedim_jax.workdir.evaluation_files import (
  FIRST_SAMPLES,
  RESULT_FILE,
  list_finished,
  samples_dir,
)
from threedim_jax.workdir.scores import Scores, read_json, read_scores

Curve = Sequence[tuple[int, float]]  # (step, value) in ascending steps
TRAIN_LOSS, EVAL_LOSS = "train/loss", "eval/loss"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
  """A workdir's content; the attributes of missing files are None or empty."""

  workdir: epath.Path
  config: dict[str, Any]
  metrics: dict[str, Curve]  # by name
  timings: dict[str, float]  # seconds by stage
  evaluation: Scores | None
  consistency: dict[str, Scores]  # by the folder whose views were scored
  folders: list[epath.Path]  # finished samples
  grids: list[epath.Path]  # training pictures, oldest first

  def setting(self, section: str, key: str) -> Any:
    """Returns the value of `section.key` in the configuration, or None."""
    return self.config.get(section, {}).get(key)

  @property
  def data_set(self) -> str:
    """Name of the data set, such as "shapes/chairs_32"; empty if unknown."""
    parts = [self.setting("data", key) for key in ("name", "config")]
    return "/".join(str(part) for part in parts if part is not None)

  @property
  def last_step(self) -> int | None:
    steps = [curve[-1][0] for curve in self.metrics.values()]
    return max(steps, default=None)

  @property
  def examples(self) -> int | None:
    """The number of examples trained on so far; None if unknown."""
    batch_size = self.setting("train", "batch_size")
    if self.last_step is None or batch_size is None:
      return None
    return self.last_step * batch_size

  @property
  def last_loss(self) -> float | None:
    """The last logged training loss, which is a mean over one log interval."""
    curve = self.metrics.get(TRAIN_LOSS)
    return curve[-1][1] if curve else None


def read_run(workdir: epath.PathLike) -> Run:
  """Reads the files of a run's workdir. Any of the files may be missing.

  Raises:
    UserError: there is no such folder, or a file is damaged.
  """
  workdir = epath.Path(workdir)
  if not workdir.is_dir():
    raise UserError(f"There is no folder {workdir} to report on.")
  images = workdir / "images"
  # If there are no samples, the views of the evaluation are shown.
  folders = samples.list_complete(workdir / "samples")
  folders = folders or list_finished(samples_dir(workdir, 0))
  consistency = {
    name: read_scores(workdir / f"{name}_consistency" / "consistency.json")
    for name in ("samples", FIRST_SAMPLES)
  }
  return Run(
    workdir=workdir,
    config=read_config(workdir) or {},
    metrics=_read_metrics(workdir / "metrics.jsonl"),
    timings=read_json(workdir / "timings.json") or {},
    evaluation=read_scores(workdir / RESULT_FILE),
    consistency={k: v for k, v in consistency.items() if v is not None},
    folders=folders,
    grids=sorted(images.glob("*.png")) if images.is_dir() else [],
  )


def _read_metrics(path: epath.Path) -> dict[str, Curve]:
  """Reads metrics.jsonl into {metric: curve of (step, value) pairs}.

  If a step occurs twice, the later line counts. Values that are not finite are
  left out. A damaged last line is ignored, because a run may still be writing
  that line.
  """
  values: dict[str, dict[int, float]] = {}
  lines = path.read_text().splitlines() if path.exists() else []
  for number, line in enumerate(lines, start=1):
    try:
      row = {name: float(value) for name, value in json.loads(line).items()}
      step = int(row.pop("step"))
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
