# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A stuck process ends with 124 and says where; a slow one is left alone."""

import json
import os
import subprocess
import sys
import time

from threedim_jax.runtime import watchdog
from threedim_jax.runtime.watchdog import Watchdog

SCRIPT = """
import sys, time
from threedim_jax.runtime.watchdog import Watchdog

def stuck_here():
  time.sleep(60)

with Watchdog(sys.argv[1], start_minutes=0.01, min_minutes=0.01) as dog:
  if sys.argv[2] == "later":
    for step in range(1, 30):
      time.sleep(0.05)
      dog.beat(step)
  stuck_here()
"""


def run(tmp_path, when):
  return subprocess.run(
    [sys.executable, "-c", SCRIPT, tmp_path, when],
    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    stderr=subprocess.PIPE,
    text=True,
    timeout=50,
  )


def test_a_stuck_process_ends(tmp_path):
  result = run(tmp_path, "at once")
  assert result.returncode == 124
  assert "minutes after the start" in result.stderr
  assert "stuck_here" in result.stderr


def test_beats_keep_it_alive_and_the_heart_is_on_file(tmp_path):
  result = run(tmp_path, "later")
  assert result.returncode == 124
  assert "minutes after step 29" in result.stderr
  heart = json.loads((tmp_path / "heartbeat.json").read_text())
  assert heart["process"] == 0 and heart["step"] == 1  # once in 5 s
  assert abs(heart["time"] - time.time()) < 60


def test_the_limit_follows_the_longest_wait(tmp_path, monkeypatch):
  """But not the first wait, which includes a compilation."""
  monkeypatch.setattr(watchdog.jax, "process_index", lambda: 1)
  start = 60 * watchdog.START_MINUTES
  quick, slow = 60 * watchdog.MIN_MINUTES, 1600 * watchdog.SLOWEST_TIMES
  for waits, limit in (([], start), ([2000], start), ([2000, 1600], slow),
                       ([2000, 0, 1], quick)):  # fmt: skip
    dog = Watchdog(tmp_path)
    for step, seconds in enumerate(waits, start=1):
      dog._silent = seconds
      dog.beat(step)
    assert dog._limit == limit
  assert not (tmp_path / "heartbeat.json").exists()  # process 0 has it


def test_a_full_disk_does_not_end_the_run(tmp_path):
  (tmp_path / "file").write_text("")
  Watchdog(tmp_path / "file").beat(1)
