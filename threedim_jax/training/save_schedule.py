# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Decides when to save: every N steps, and M minutes after the last save.

schedule = SaveSchedule(every_steps=5000, every_minutes=10.0)
for step in ...:
  if schedule.is_due(step, ask_clock=step % 100 == 0):
    ...  # save, on all processes
"""

import time

import jax
from jax.experimental import multihost_utils
import numpy as np


class SaveSchedule:
  """Decides when to save, with the same answer on all processes of a run.

  Process 0 reads the clock for all processes. The clock is `time.monotonic`,
  which does not jump when the system's time is set.

  Args:
    every_steps: number of steps between two checkpoints.
    every_minutes: longest time without a checkpoint, in minutes.
  """

  def __init__(self, every_steps: int, every_minutes: float | int):
    self._every_steps = every_steps
    self._every_seconds = 60.0 * every_minutes
    self._last = time.monotonic()

  def is_due(self, step: int, *, ask_clock: bool) -> bool:
    """Tells whether to save after `step`.

    If the answer is True, the timer for `every_minutes` restarts.

    Args:
      step: the step that was just done.
      ask_clock: also check `every_minutes`. With several processes this check
        needs a message from process 0, so do not set `ask_clock` at every step.
    """
    late = ask_clock and self._is_late()
    if step % self._every_steps == 0 or late:
      self._last = time.monotonic()
      return True
    return False

  def _is_late(self) -> bool:
    late = time.monotonic() - self._last >= self._every_seconds
    if jax.process_count() > 1:
      late = multihost_utils.broadcast_one_to_all(np.bool_(late))
    return bool(late)
