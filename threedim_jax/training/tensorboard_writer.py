# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""TensorBoard event files without TensorFlow.

CLU's metric writers need TensorFlow only for their `SummaryWriter`. This
module has a class of that name, with CLU's method and argument names (CLU
calls writers by keyword), over the `tensorboard` package alone;
`threedim_jax.writers` puts it in the place of CLU's where there is no
TensorFlow. So this module must not import `clu`.

  writer = SummaryWriter("/tmp/run")
  writer.write_scalars(10, {"train/loss": 0.5})
"""

from collections.abc import Iterator
import functools
import time
from typing import Any

from absl import logging
import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram import summary_v2 as histogram_summary

# Not hparams.api, which is the same thing but imports TensorFlow.
from tensorboard.plugins.hparams import summary_v2 as hparams_summary
from tensorboard.plugins.text import summary_v2 as text_summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from threedim_jax.runtime.nested import flatten
from threedim_jax.views.png import encode_png


def _rgb_u8(image: np.ndarray) -> np.ndarray:
  """CLU's images, [H, W, 1 or 3] in uint8 or float 0 .. 1, as uint8 RGB."""
  if image.dtype != np.uint8:
    image = (image.astype(np.float32).clip(0.0, 1.0) * 255.0).round()
  return np.broadcast_to(image.astype(np.uint8), (*image.shape[:2], 3))


def png_images(
  tag: str, images: np.ndarray
) -> Iterator[tuple[str, Any, bytes]]:
  """(name, image, PNG file) of [H, W, C], named tag, or [N, H, W, C], tag_i."""
  images = np.asarray(images)
  named = (
    [(tag, images)]
    if images.ndim == 3
    else [(f"{tag}_{i}", image) for i, image in enumerate(images)]
  )
  for name, image in named:
    yield name, image, encode_png(_rgb_u8(image))


def mark_restart(logdir: str, step: int) -> None:
  """Makes TensorBoard forget what older event files say from `step` on."""
  writer = EventFileWriter(logdir)
  start = SessionLog(status=SessionLog.START)
  writer.add_event(Event(wall_time=time.time(), step=step, session_log=start))
  writer.close()


@functools.cache
def _say_once(what: str) -> None:
  logging.warning("Without TensorFlow, %s are not written.", what)


class SummaryWriter:
  """Writes event files into `logdir` (a `clu.metric_writers.MetricWriter`)."""

  def __init__(self, logdir: str):
    self._writer = EventFileWriter(logdir)

  def _add(self, step: int, summary: Summary) -> None:
    self._writer.add_event(
      Event(wall_time=time.time(), step=int(step), summary=summary)
    )

  def write_scalars(self, step, scalars):
    values = [
      Summary.Value(tag=tag, simple_value=float(np.asarray(value).item()))
      for tag, value in scalars.items()
    ]
    self._add(step, Summary(value=values))

  def write_images(self, step, images):
    for tag, batch in images.items():
      for name, image, png in png_images(tag, batch):
        proto = Summary.Image(
          height=image.shape[0],
          width=image.shape[1],
          colorspace=3,
          encoded_image_string=png,
        )
        self._add(step, Summary(value=[Summary.Value(tag=name, image=proto)]))

  def write_texts(self, step, texts):
    for tag, text in texts.items():
      self._add(step, text_summary.text_pb(tag, text))

  def write_histograms(self, step, arrays, num_buckets=None):
    for tag, array in arrays.items():
      buckets = (num_buckets or {}).get(tag)
      self._add(step, histogram_summary.histogram_pb(tag, array, buckets))

  def write_hparams(self, hparams):
    known = bool | int | float | str
    values = {
      key: value if isinstance(value, known) else str(value)
      for key, value in flatten(hparams).items()
    }
    self._add(0, hparams_summary.hparams_pb(values))

  def write_summaries(self, step, values, metadata=None):
    _say_once("raw summaries")

  def write_videos(self, step, videos):
    _say_once("videos")

  def write_audios(self, step, audios, *, sample_rate):
    _say_once("audios")

  def flush(self):
    self._writer.flush()

  def close(self):
    self._writer.close()
