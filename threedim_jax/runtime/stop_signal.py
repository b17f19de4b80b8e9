# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Treats SIGTERM as a request to finish the step, save and exit with code 75.

  with StopSignal() as stop:
    while not stop.poll():
      ...

A single process catches the signal itself. With several processes, JAX's
preemption service catches the signal. The same call of `poll` then returns True
in all processes, whichever process got the signal. A signal handler set here
would replace the handler of that service.
"""

import signal
import threading

import jax
from jax.experimental import multihost_utils


class StopSignal:
  """A context in which SIGTERM does not end the process but sets a flag.

  Args:
    together: if True, all processes of the run stop at the same call of `poll`,
      and all must call `poll` equally often. If False, each process stops by
      itself.

  Attributes:
    received: True once `poll` returned True or this process caught SIGTERM.
  """

  def __init__(self, *, together: bool = True):
    self.received = False
    self._together = together

  def __enter__(self):
    self._agreed = self._together and jax.distributed.is_initialized()
    # Only the main thread may set a handler. In another thread none is set, and
    # SIGTERM ends the process as usual.
    main = threading.current_thread() is threading.main_thread()
    self._own = main and not self._agreed
    if self._own:
      self._previous = signal.signal(signal.SIGTERM, self._on_signal)
    return self

  def poll(self) -> bool:
    """Tells whether to stop now. Once the answer is True, it stays True."""
    if self._agreed and not self.received:
      self.received = _reached_sync_point()
    return self.received

  def _on_signal(self, *_):
    self.received = True

  def __exit__(self, *_):
    # After a stop the process is about to exit with everything saved, and a
    # second SIGTERM must not change its exit code. SIG_IGN stays set until the
    # process has ended, whereas Python removes its own handlers before.
    if self._own:
      after = signal.SIG_IGN if self.received else self._previous
      signal.signal(signal.SIGTERM, after)


_num_polls = 0


def _reached_sync_point() -> bool:
  """Asks JAX's preemption service whether all processes should stop now.

  Each call passes a larger number than the call before, as JAX requires.
  """
  global _num_polls
  _num_polls += 1
  return multihost_utils.reached_preemption_sync_point(_num_polls)
