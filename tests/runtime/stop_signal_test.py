# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM stops a loop between two polls, and a second one changes nothing."""

import os
import signal

from threedim_jax.runtime import stop_signal
from threedim_jax.runtime.stop_signal import StopSignal


def test_a_process_alone():
  with StopSignal() as stop:
    assert not stop.poll()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.poll() and stop.poll()
  os.kill(os.getpid(), signal.SIGTERM)  # on the way out: no harm


def test_without_a_signal_the_handler_is_put_back():
  handler = signal.getsignal(signal.SIGTERM)
  with StopSignal():
    assert signal.getsignal(signal.SIGTERM) != handler
  assert signal.getsignal(signal.SIGTERM) == handler


def test_several_processes_stop_at_one_poll(monkeypatch):
  """No handler of our own; the questions are numbered across loops."""
  handler, asked = signal.getsignal(signal.SIGTERM), []

  def reached(number):
    asked.append(number)
    return len(asked) == 5

  monkeypatch.setattr(stop_signal.jax.distributed, "is_initialized", lambda: 1)
  monkeypatch.setattr(
    stop_signal.multihost_utils, "reached_preemption_sync_point", reached
  )
  with StopSignal() as stop:
    assert not stop.poll() and not stop.poll()
  with StopSignal() as stop:
    assert signal.getsignal(signal.SIGTERM) == handler
    assert [stop.poll() for _ in range(4)] == [False, False, True, True]
  assert len(asked) == 5 and asked == list(range(asked[0], asked[0] + 5))
  with StopSignal(together=False):
    assert signal.getsignal(signal.SIGTERM) != handler
