# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""When to save: every so many steps, and after so many minutes without a save.

schedule = SaveSchedule(every_steps=5000, every_minutes=10.0)
for step in ...:
  if schedule.due(step, ask_clock=step % 100 == 0):
    ...  # save, on all processes
"""

import time

import jax
from jax.experimental import multihost_utils
import numpy as np


class SaveSchedule:
  """Gives the same answer on all processes: process 0 has the clock.

  It is a clock that nobody sets: `time.monotonic`.
  """

  def __init__(self, *, every_steps: int, every_minutes: float | int):
    self._every_steps = every_steps
    self._every_seconds = 60.0 * every_minutes
    self._last = time.monotonic()

  def due(self, step: int, *, ask_clock: bool) -> bool:
    """Whether to save after `step`; the caller then does.

    Args:
      step: the step that was done.
      ask_clock: whether the minutes count here. With several processes that
        takes a word from process 0, so not at every step.
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
