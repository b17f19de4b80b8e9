# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM as a request: finish the step, save, leave with exit code 75.

with StopSignal() as stop:
  while not stop.poll():
    ...

A process alone catches the signal itself. Among several, JAX's preemption
service does: all of them stop at the same poll, whoever got the signal, and a
handler of ours would switch that service off.
"""

import signal
import threading

import jax
from jax.experimental import multihost_utils


class StopSignal:
  """SIGTERM asks the loop to save and leave, rather than killing it.

  Args:
    together: all processes of the run stop at the same poll. False where each
      works by itself and polls as often as it likes.
  """

  def __init__(self, *, together: bool = True):
    self.received = False
    self._together = together

  def __enter__(self):
    self._agreed = self._together and jax.distributed.is_initialized()
    # Signals reach the main thread only; elsewhere SIGTERM keeps its default.
    main = threading.current_thread() is threading.main_thread()
    self._own = main and not self._agreed
    if self._own:
      self._previous = signal.signal(signal.SIGTERM, self._on_signal)
    return self

  def poll(self) -> bool:
    """Whether to stop now; once true it stays so.

    The same on all processes if all of them poll equally often.
    """
    if self._agreed and not self.received:
      self.received = _reached_sync_point()
    return self.received

  def _on_signal(self, *_):
    self.received = True

  def __exit__(self, *_):
    # Once told to stop, the process is on its way out with what it has saved:
    # a second SIGTERM must not turn that into a death by signal. A handler of
    # Python's own would be taken down before the very end; ignoring is not.
    if self._own:
      after = signal.SIG_IGN if self.received else self._previous
      signal.signal(signal.SIGTERM, after)


_num_polls = 0


def _reached_sync_point() -> bool:
  """JAX wants a number that grows with every question in this process."""
  global _num_polls
  _num_polls += 1
  return multihost_utils.reached_preemption_sync_point(_num_polls)
