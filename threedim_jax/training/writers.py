# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes a run's metrics to the log, TensorBoard, metrics.jsonl and images/.

Import `metric_writers` and `periodic_actions` from here: importing them from
`clu` would also import TensorFlow. CLU needs TensorFlow only for its class
`SummaryWriter`. This module therefore replaces the CLU module that defines
`SummaryWriter` with an empty module, and `WorkdirWriter` writes event files
with the `tensorboard` package alone.

  writer = create_writer(workdir)
  with metric_writers.ensure_flushes(writer):
    writer.write_scalars(step, {"train/loss": loss})
"""

from collections.abc import Mapping
import json
import math
import os
import sys
import time
import types
from typing import Any

from etils import epath
import jax
from jaxtyping import UInt8
import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.text import summary_v2 as text_summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

_NO_TENSORFLOW = types.ModuleType("clu.metric_writers.summary_writer")
_NO_TENSORFLOW.SummaryWriter = None
sys.modules.setdefault(_NO_TENSORFLOW.__name__, _NO_TENSORFLOW)

from clu import metric_writers, periodic_actions  # noqa: E402

from threedim_jax.runtime.disk import is_bucket, write_atomically  # noqa: E402
from threedim_jax.training.bucket_events import BucketEventWriter  # noqa: E402
from threedim_jax.views.png import encode_png  # noqa: E402

__all__ = [
  "create_writer",
  "metric_writers",
  "periodic_actions",
  "truncate_metrics",
]

METRICS_FILE = "metrics.jsonl"
IMAGES_FOLDER = "images"


class WorkdirWriter:
  """A CLU writer that writes TensorBoard events, metrics.jsonl and images/.

  metrics.jsonl has one line per `write_scalars` call, such as {"step": 10,
  "train/loss": 0.1}, and images/ has PNG files. Both can be read without
  TensorBoard. JSON has no NaN or infinity, so these become the strings "nan",
  "inf" and "-inf". Of a CLU writer's methods, this class has only those that
  the training loop calls.
  """

  def __init__(self, workdir: epath.PathLike):
    self._metrics = epath.Path(workdir) / METRICS_FILE
    self._images = epath.Path(workdir) / IMAGES_FOLDER
    self._images.mkdir(parents=True, exist_ok=True)
    self._events = _event_writer(workdir)

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Writes named numbers to metrics.jsonl and TensorBoard.

    Args:
      step: training step of the numbers.
      scalars: numbers, or arrays of one element, keyed by names such as
        "train/loss".
    """
    numbers = {tag: _json_number(value) for tag, value in scalars.items()}
    _append(self._metrics, json.dumps({"step": int(step), **numbers}) + "\n")
    values = [
      Summary.Value(tag=tag, simple_value=float(number))
      for tag, number in numbers.items()
    ]
    self._add_event(step, Summary(value=values))

  def write_images(
    self, step: int, images: Mapping[str, UInt8[np.ndarray, "H W 3"]]
  ) -> None:
    """Writes named RGB pictures to images/ and TensorBoard.

    Args:
      step: training step of the pictures.
      images: pictures keyed by name. At step 10, the picture "a/b" becomes the
        file 00000010_a_b.png.
    """
    for tag, image_u8 in images.items():
      png = encode_png(image_u8)
      name = f"{int(step):08d}_{tag.replace('/', '_')}.png"
      (self._images / name).write_bytes(png)
      height, width, _ = image_u8.shape
      image = Summary.Image(
        height=height, width=width, colorspace=3, encoded_image_string=png
      )
      value = Summary.Value(tag=tag, image=image)
      self._add_event(step, Summary(value=[value]))

  def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
    """Writes named Markdown texts to TensorBoard only.

    Args:
      step: training step of the texts.
      texts: Markdown texts keyed by name.
    """
    for tag, text in texts.items():
      self._add_event(step, text_summary.text_pb(tag, text))

  def flush(self) -> None:
    self._events.flush()

  def close(self) -> None:
    self._events.close()

  def _add_event(self, step: int, summary: Summary) -> None:
    event = Event(wall_time=time.time(), step=int(step), summary=summary)
    self._events.add_event(event)


def _event_writer(
  workdir: epath.PathLike,
) -> EventFileWriter | BucketEventWriter:
  if is_bucket(workdir):
    return BucketEventWriter(workdir)
  return EventFileWriter(os.fspath(workdir))


def _append(path: epath.Path, line: str) -> None:
  """Appends a line to a file. In a bucket, the whole file is written again.

  Buckets cannot append: a file that is opened for it would lose its content.
  """
  if is_bucket(path):
    before = path.read_text() if path.exists() else ""
    write_atomically(path, before + line)
  else:
    with path.open("a") as f:
      f.write(line)


def _json_number(value: Any) -> float | int | str:
  """Converts a number to a Python value that JSON can hold.

  A float32 is written with the fewest digits that identify it: 0.1, not
  0.10000000149. NaN and infinity become strings.
  """
  value = np.asarray(value)
  if value.dtype.kind in "biu":
    return int(value.item())
  # Via text, because float() turns the float32 0.1 into 0.10000000149011612.
  number = float(str(value.reshape(())[()]))
  return number if math.isfinite(number) else str(number)


def create_writer(workdir: epath.PathLike) -> metric_writers.MetricWriter:
  """Makes a writer that writes metrics and images in a background thread.

  All processes write metrics to the log. Only process 0 writes to the workdir.
  """
  writers = [metric_writers.LoggingWriter()]
  if jax.process_index() == 0:
    writers.append(WorkdirWriter(workdir))
  return metric_writers.AsyncMultiWriter(writers)


def truncate_metrics(workdir: epath.PathLike, step: int) -> int:
  """Removes the metrics of all steps after `step`, before a run resumes there.

  The run will repeat those steps, which would otherwise appear twice in
  metrics.jsonl and in TensorBoard. A last line that was cut short by a crash is
  also removed. Call this before `create_writer`.

  Returns:
    The number of removed lines; 0 in all processes except process 0.
  """
  path = epath.Path(workdir) / METRICS_FILE
  if jax.process_index() != 0 or not path.exists():
    return 0
  lines = path.read_text().splitlines()
  kept = [line for line in lines if _step(line) <= step]
  write_atomically(path, "".join(line + "\n" for line in kept))
  # This event makes TensorBoard ignore all older events after `step`.
  events = _event_writer(workdir)
  start = SessionLog(status=SessionLog.START)
  events.add_event(
    Event(wall_time=time.time(), step=step + 1, session_log=start)
  )
  events.close()
  return len(lines) - len(kept)


def _step(line: str) -> int | float:
  """Reads the step from a line of metrics.jsonl.

  If the line is damaged, for example because a crash cut it short, the result
  is infinity.
  """
  try:
    return json.loads(line)["step"]
  except (ValueError, TypeError, KeyError):
    return math.inf
