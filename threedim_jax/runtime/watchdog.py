# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Ends a process that makes no progress, so that a launcher can restart it.

A peer that is alive but stuck blocks all others without an error. If no step
(or sampled view) ends in time, the stacks of all threads go to standard error
and the process exits with code 124.

  with Watchdog(workdir) as watchdog:
    for step in ...:
      watchdog.beat(step)  # also renews heartbeat.json
"""

import faulthandler
import json
import os
import sys
import threading
import time

from etils import epath
import jax

from threedim_jax.runtime.disk import write_whole
from threedim_jax.runtime.errors import EXIT_NO_PROGRESS

HEARTBEAT_FILE = "heartbeat.json"
HEARTBEAT_SECONDS = 5.0

START_MINUTES = 45.0  # for the first two waits: restore, compile, slow views
MIN_MINUTES = 10.0  # between later beats: an evaluation or a slow save
SLOWEST_TIMES = 20.0  # or so many times the longest wait but the first one
_LOOKS_PER_LIMIT = 100


class Watchdog:
  """Watches a loop that calls `beat` at every step.

  Args:
    workdir: where process 0 leaves heartbeat.json; made if missing.
    start_minutes: without a beat, up to the second one.
    min_minutes: without a beat later on; more if some wait was long.
  """

  def __init__(
    self,
    workdir: epath.PathLike,
    *,
    start_minutes: float = START_MINUTES,
    min_minutes: float = MIN_MINUTES,
  ):
    self._path = epath.Path(workdir) / HEARTBEAT_FILE
    self._limit = 60 * start_minutes
    self._min_limit = 60 * min_minutes
    self._tick = min(5.0, min(self._limit, self._min_limit) / _LOOKS_PER_LIMIT)
    self._silent = self._longest = 0.0
    self._step = None
    self._next_file = -float("inf")
    self._stop = threading.Event()
    self._thread = threading.Thread(
      target=self._watch, name="watchdog", daemon=True
    )

  def __enter__(self):
    self._thread.start()
    return self

  def __exit__(self, *_):
    self._stop.set()
    self._thread.join()

  def beat(self, step: int) -> None:
    """A step is done."""
    # The first wait includes a compilation: it tells nothing of the next.
    if self._step is not None:
      self._longest = max(self._longest, self._silent)
      self._limit = max(self._min_limit, SLOWEST_TIMES * self._longest)
    self._step, self._silent = step, 0.0
    if time.monotonic() >= self._next_file and jax.process_index() == 0:
      self._next_file = time.monotonic() + HEARTBEAT_SECONDS
      self._write_heartbeat(step)

  def _write_heartbeat(self, step: int) -> None:
    line = {"step": step, "time": round(time.time(), 1), "process": 0}
    try:
      self._path.parent.mkdir(parents=True, exist_ok=True)
      write_whole(self._path, json.dumps(line) + "\n")
    except OSError:  # a full disk is for those to tell that must write
      pass

  def _watch(self) -> None:
    last = time.monotonic()
    while not self._stop.wait(self._tick):
      now = time.monotonic()
      # A process that was itself stopped for an hour has not been silent.
      self._silent += min(now - last, 2 * self._tick)
      last = now
      if self._silent > self._limit:
        self._bark()

  def _bark(self) -> None:
    after = "the start" if self._step is None else f"step {self._step}"
    print(
      f"watchdog: nothing was done for {self._silent / 60:.3g} minutes after"
      f" {after}. The stacks of all threads follow; exit code"
      f" {EXIT_NO_PROGRESS}, run again to resume.",
      file=sys.__stderr__,
      flush=True,
    )
    faulthandler.dump_traceback(file=2, all_threads=True)
    os._exit(EXIT_NO_PROGRESS)
