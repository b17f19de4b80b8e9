# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Only one process trains in a workdir, and none waits for a dead one."""

import os
import signal
import subprocess
import sys
import time

import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir import lock as lock_lib
from threedim_jax.workdir.lock import lock

HOLDER = """
import sys, time
from threedim_jax.workdir.lock import lock
with lock(sys.argv[1]):
  print("held", flush=True)
  time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
  process = subprocess.Popen(
    [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True
  )
  assert process.stdout.readline() == "held\n"
  yield process
  process.kill()
  process.wait()


def test_a_second_training_is_refused(holder, tmp_path, monkeypatch):
  monkeypatch.setattr(lock_lib, "WAIT_SECONDS", 0.5)
  with pytest.raises(UserError, match="another process is training in"):
    with lock(tmp_path):
      raise AssertionError("two trainings in one workdir")
  holder.send_signal(signal.SIGKILL)  # it has no time to unlock anything
  holder.wait()
  with lock(tmp_path):
    pass


def test_it_waits_for_a_training_that_is_about_to_stop(
  holder, tmp_path, monkeypatch
):
  sleep, calls = time.sleep, []

  def stop_holder(seconds):
    calls.append(seconds)
    holder.kill()
    holder.wait()
    sleep(seconds)

  monkeypatch.setattr(time, "sleep", stop_holder)
  with lock(tmp_path):
    assert calls


def test_what_cannot_be_locked_is_not_protected(tmp_path, monkeypatch):
  entered = []
  with lock("gs://bucket/run"):
    entered.append("bucket")
  monkeypatch.setattr(
    lock_lib.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(95, ""))
  )
  with lock(tmp_path):
    entered.append("no locks")
  assert entered == ["bucket", "no locks"]


def test_the_next_one_in_the_same_process_can_have_it(tmp_path):
  for _ in range(2):
    with lock(tmp_path):
      with pytest.raises(BlockingIOError):
        other = os.open(tmp_path, os.O_RDONLY)
        try:
          lock_lib.fcntl.flock(
            other, lock_lib.fcntl.LOCK_EX | lock_lib.fcntl.LOCK_NB
          )
        finally:
          os.close(other)
