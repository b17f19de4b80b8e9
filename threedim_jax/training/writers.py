# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""CLU's metric writers and periodic actions, with or without TensorFlow.

Import `metric_writers` and `periodic_actions` from here and not from `clu`:
without TensorFlow, `clu.metric_writers` cannot be imported until our
`SummaryWriter` stands in for CLU's. With TensorFlow, CLU's own is used.

  from threedim_jax.writers import create_writer, metric_writers
  writer = create_writer(workdir)
  with metric_writers.ensure_flushes(writer):
    writer.write_scalars(step, {"train/loss": loss})
"""

from collections.abc import Mapping
import importlib.util
import json
import math
import sys
from typing import Any

from etils import epath
import jax
import numpy as np

from threedim_jax.training import tensorboard_writer

if importlib.util.find_spec("tensorflow") is None:
  # The only module of CLU's loop parts that imports TensorFlow.
  sys.modules.setdefault(
    "clu.metric_writers.summary_writer", tensorboard_writer
  )

from clu import metric_writers, periodic_actions  # noqa: E402

from threedim_jax.runtime.disk import write_whole

__all__ = [
  "FileWriter",
  "create_writer",
  "metric_writers",
  "periodic_actions",
  "truncate_metrics",
]

METRICS_FILE = "metrics.jsonl"
IMAGES_FOLDER = "images"


class FileWriter(metric_writers.MetricWriter):
  """Scalars as lines of metrics.jsonl, images as PNG files; nothing else.

  A line holds the values of one `write_scalars` call, so that a step may have
  several lines: {"step": 10, "train/loss": 0.1}. NaN and infinities, which
  JSON lacks, are the strings "nan", "inf" and "-inf".
  """

  def __init__(self, workdir: epath.PathLike):
    self._metrics = epath.Path(workdir) / METRICS_FILE
    self._images = epath.Path(workdir) / IMAGES_FOLDER
    self._images.mkdir(parents=True, exist_ok=True)

  def write_scalars(self, step: int, scalars: Mapping[str, Any]):
    line = {"step": int(step)}
    line.update((tag, _json_number(value)) for tag, value in scalars.items())
    with self._metrics.open("a") as f:
      f.write(json.dumps(line) + "\n")

  def write_images(self, step: int, images: Mapping[str, Any]):
    for tag, batch in images.items():
      for name, _, png in tensorboard_writer.png_images(tag, batch):
        path = self._images / f"{int(step):08d}_{name.replace('/', '_')}.png"
        path.write_bytes(png)

  def write_summaries(self, step, values, metadata=None):
    pass

  def write_videos(self, step, videos):
    pass

  def write_audios(self, step, audios, *, sample_rate):
    pass

  def write_texts(self, step, texts):
    pass

  def write_histograms(self, step, arrays, num_buckets=None):
    pass

  def write_hparams(self, hparams):
    pass

  def flush(self):
    pass

  def close(self):
    pass


def _json_number(value: Any) -> float | int | str:
  """A scalar (or array of one element) as JSON has it, at its own precision."""
  value = np.asarray(value)
  if value.dtype.kind in "biu":
    return int(value.item())
  # Through text: the float32 0.1 is 0.1 and not 0.10000000149011612.
  number = float(str(value.reshape(())[()]))
  return number if math.isfinite(number) else str(number)


def create_writer(workdir: epath.PathLike) -> metric_writers.MetricWriter:
  """Log, TensorBoard, metrics.jsonl and images/, written in the background.

  Other processes than the first one only log.
  """
  writers = [metric_writers.LoggingWriter()]
  if jax.process_index() == 0:
    writers.append(metric_writers.SummaryWriter(str(workdir)))
    writers.append(FileWriter(workdir))
  return metric_writers.AsyncMultiWriter(writers)


def truncate_metrics(workdir: epath.PathLike, step: int) -> int:
  """Forgets metrics of later steps than `step`, from which a run resumes.

  Call it before `create_writer`. The steps come again, so that without this
  they would stand twice in metrics.jsonl and in TensorBoard. A last line that
  a crash cut short goes too. Returns the number of dropped lines.
  """
  workdir = epath.Path(workdir)
  path = workdir / METRICS_FILE
  if jax.process_index() != 0 or not path.exists():
    return 0
  lines = path.read_text().splitlines()
  kept = [line for line in lines if _step(line) <= step]
  write_whole(path, "".join(line + "\n" for line in kept))
  tensorboard_writer.mark_restart(str(workdir), step + 1)
  return len(lines) - len(kept)


def _step(line: str) -> int | float:
  try:
    return json.loads(line)["step"]
  except ValueError:
    return math.inf
