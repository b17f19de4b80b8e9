# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Only one process trains in a workdir, and none waits for a dead one."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from threedim_jax.modes.train import claimed
from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir import lock as lock_lib
from threedim_jax.workdir.config_file import check_workdir
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
  def no_locks(*_):
    raise OSError(95, "Operation not supported")

  entered = []
  with lock("gs://bucket/run"):
    entered.append("bucket")
  monkeypatch.setattr(fcntl, "flock", no_locks)
  with lock(tmp_path):
    entered.append("no locks")
  assert entered == ["bucket", "no locks"]


def check_is_held(folder) -> None:
  other = os.open(folder, os.O_RDONLY)
  try:
    with pytest.raises(BlockingIOError):
      fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
  finally:
    os.close(other)


def test_the_next_one_in_the_same_process_can_have_it(tmp_path):
  for _ in range(2):
    with lock(tmp_path):
      check_is_held(tmp_path)


def test_a_refused_training_leaves_the_settings_of_the_other(
  holder, tmp_path, debug_config, monkeypatch
):
  monkeypatch.setattr(lock_lib, "WAIT_SECONDS", 0.5)
  check_workdir(tmp_path, debug_config.to_dict(), write=True)
  before = (tmp_path / "config.json").read_text()
  debug_config.train.num_examples += 1
  with pytest.raises(UserError, match="another process is training in"):
    with claimed(tmp_path, debug_config):
      raise AssertionError("two trainings in one workdir")
  assert (tmp_path / "config.json").read_text() == before


def test_a_new_workdir_is_made_and_held(tmp_path, debug_config):
  workdir = tmp_path / "runs" / "new"
  with claimed(workdir, debug_config):
    assert (workdir / "config.json").exists()
    check_is_held(workdir)
