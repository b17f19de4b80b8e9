# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM as a request: finish the step, save, leave with exit code 75.

with StopSignal() as stop:
  while not stop.received:
    ...
"""

import signal
import threading


class StopSignal:
  """SIGTERM asks the loop to save and leave, rather than killing it."""

  def __init__(self):
    self.received = False

  def __enter__(self):
    # Signals reach the main thread only; elsewhere SIGTERM keeps its default.
    self._main = threading.current_thread() is threading.main_thread()
    if self._main:
      self._previous = signal.signal(signal.SIGTERM, self._on_signal)
    return self

  def _on_signal(self, *_):
    self.received = True

  def __exit__(self, *_):
    if self._main:
      signal.signal(signal.SIGTERM, self._previous)
