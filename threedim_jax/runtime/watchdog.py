# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Ends a process that makes no progress, so that a launcher can restart it.

A process that is alive but stuck makes all other processes wait, without an
error. If a step or a sampled view takes too long, the watchdog prints the
stacks of all threads to standard error and ends the process with code 124.

  with Watchdog(workdir) as watchdog:
    for step in ...:
      watchdog.beat(step)  # also rewrites heartbeat.json
"""

import faulthandler
import json
import os
import sys
import threading
import time

from etils import epath
import jax

from threedim_jax.runtime.disk import write_atomically
from threedim_jax.runtime.errors import EXIT_NO_PROGRESS

HEARTBEAT_FILE = "heartbeat.json"
HEARTBEAT_SECONDS = 5.0

# The first two waits include restoring, compiling and the first slow view.
START_MINUTES = 45.0
# Later waits may include an evaluation or a slow save. Their limit is
# SLOWEST_TIMES the longest wait after the first, but at least MIN_MINUTES.
MIN_MINUTES = 10.0
SLOWEST_TIMES = 20.0
_LOOKS_PER_LIMIT = 100


class Watchdog:
  """A thread that ends the process if a loop stops calling `beat`.

  Args:
    workdir: folder where process 0 writes heartbeat.json; made if missing.
    start_minutes: longest time allowed without a beat, until the second beat.
    min_minutes: lower bound of the time allowed after that, which is 20 times
      the longest wait between two earlier beats.
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
    """Records that a step is done; call this after every step.

    `step` is shown in heartbeat.json and in the error message.
    """
    # The first wait includes a compilation, so it says nothing about the next.
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
      write_atomically(self._path, json.dumps(line) + "\n")
    except OSError:  # if the disk is full, the next save raises the error
      pass

  def _watch(self) -> None:
    last = time.monotonic()
    while not self._stop.wait(self._tick):
      now = time.monotonic()
      # Time during which the whole process was suspended must not count.
      self._silent += min(now - last, 2 * self._tick)
      last = now
      if self._silent > self._limit:
        self._exit()

  def _exit(self) -> None:
    after = "the start" if self._step is None else f"step {self._step}"
    print(
      f"watchdog: no progress for {self._silent / 60:.3g} minutes after"
      f" {after}. The stacks of all threads follow; exit code"
      f" {EXIT_NO_PROGRESS}, run again to resume.",
      file=sys.__stderr__,
      flush=True,
    )
    faulthandler.dump_traceback(file=2, all_threads=True)
    os._exit(EXIT_NO_PROGRESS)
