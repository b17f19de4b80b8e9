# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes TensorBoard events into cloud buckets, where files cannot grow.

  events = BucketEventWriter("gs://bucket/run")
  events.add_event(event)
  events.close()

TensorBoard's own writer appends to one file. In a bucket, each append replaces
the whole file, and all earlier events are lost.
"""

import io
import itertools
import os
import socket
import time

from etils import epath
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

FLUSH_SECONDS = 120  # as TensorBoard's own writer
_FILE_NUMBERS = itertools.count(1)  # of this process


class BucketEventWriter:
  """Collects events, and writes a new file of them every `FLUSH_SECONDS`.

  TensorBoard reads all event files of a folder, one after the other. Events
  that were not written yet are lost if the process is killed.
  """

  def __init__(self, workdir: epath.PathLike):
    self._workdir = epath.Path(workdir)
    self._events: list[Event] = []  # since the last file
    self._start = time.monotonic()

  def add_event(self, event: Event) -> None:
    """Adds an event; writes a file if the last one is old enough."""
    self._events.append(event)
    if time.monotonic() - self._start > FLUSH_SECONDS:
      self.flush()

  def flush(self) -> None:
    """Writes the events since the last file, if there are any."""
    if not self._events:
      return
    # Every event file starts with this event.
    version = Event(wall_time=time.time(), file_version="brain.Event:2")
    data = io.BytesIO()
    records = RecordWriter(data)
    for event in (version, *self._events):
      records.write(event.SerializeToString())
    # TensorBoard reads the files in the order of their names.
    name = (
      f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
      f".{os.getpid()}.{next(_FILE_NUMBERS):06d}"
    )
    (self._workdir / name).write_bytes(data.getvalue())
    self._events.clear()
    self._start = time.monotonic()

  def close(self) -> None:
    self.flush()
