# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every second is in one phase, also over restarts and after kills."""

import json

import pytest

from threedim_jax.training import goodput
from threedim_jax.training.goodput import Goodput, read_goodput
from threedim_jax.training.save_schedule import SaveSchedule


class Clock:
  def __init__(self, monkeypatch):
    self.now = 100.0
    monkeypatch.setattr(goodput.time, "monotonic", lambda: self.now)

  def pass_in(self, run, **seconds):
    for phase, amount in seconds.items():
      with run.phase(phase):
        self.now += amount


@pytest.fixture
def clock(monkeypatch):
  return Clock(monkeypatch)


def test_phases_add_up_to_all_the_time(tmp_path, clock):
  run = Goodput(tmp_path)
  clock.now += 5
  run.enter("step")
  clock.now += 10
  with run.phase("save"):
    clock.now += 2
    with run.phase("data"):
      clock.now += 1
    clock.now += 2
  clock.now += 20
  run.write(7)
  line = read_goodput(tmp_path)
  seconds = {k: v for k, v in line["seconds"].items() if v}
  assert seconds == {"startup": 5, "step": 30, "save": 4, "data": 1}
  assert line["step"] == 7 and line["starts"] == 1
  assert line["goodput"] == 30 / 40


def killed_run(folder, clock):
  """Saved at step 2, killed after step 4; returns what the checkpoint has."""
  run = Goodput(folder)
  run.resume(0, None)
  clock.pass_in(run, startup=4, step=10)
  carried = run.totals()
  clock.pass_in(run, step=6)
  run.write(4)
  return carried


def test_work_after_the_last_save_is_lost(tmp_path, clock):
  carried = killed_run(tmp_path, clock)
  run = Goodput(tmp_path)
  clock.now += 3
  run.resume(2, carried)
  totals = run.totals()
  assert totals["starts"] == 2
  seconds = {k: v for k, v in totals["seconds"].items() if v}
  assert seconds == {"startup": 4 + 3, "step": 10, "lost": 6}


def test_a_peaceful_end_loses_nothing(tmp_path, clock):
  carried = killed_run(tmp_path, clock)
  run = Goodput(tmp_path)
  run.resume(4, carried)
  assert run.totals()["seconds"]["step"] == 16
  assert run.totals()["seconds"]["lost"] == 0


def test_killed_before_the_first_save(tmp_path, clock):
  killed_run(tmp_path, clock)
  run = Goodput(tmp_path)
  run.resume(0, None)
  assert run.totals()["seconds"]["lost"] == 20
  assert run.totals()["starts"] == 2


def test_the_checkpoint_carries_what_the_file_lost(tmp_path, clock):
  carried = killed_run(tmp_path, clock)
  (tmp_path / "goodput.jsonl").unlink()
  run = Goodput(tmp_path)
  run.resume(2, json.loads(json.dumps(carried)))
  assert run.totals()["seconds"]["step"] == 10 and run.totals()["starts"] == 2


def test_a_cut_line_harms_no_other(tmp_path, clock):
  killed_run(tmp_path, clock)
  path = tmp_path / "goodput.jsonl"
  path.write_text(path.read_text() + '{"step": 5, "sec')
  assert read_goodput(tmp_path)["step"] == 4
  run = Goodput(tmp_path)
  run.write(6)
  assert read_goodput(tmp_path)["step"] == 6
  assert len(path.read_text().splitlines()) == 3


def test_saves_by_step_and_by_time(monkeypatch):
  clock = Clock(monkeypatch)
  schedule = SaveSchedule(every_steps=10, every_minutes=1.0)
  due = []
  for step in range(1, 31):
    clock.now += 13 if step < 21 else 1
    if schedule.due(step, ask_clock=step % 2 == 0):
      due.append(step)
  # 60 s are 5 steps, and it looks at the even ones; each save starts anew.
  assert due == [6, 10, 16, 20, 30]


def test_the_clock_of_process_0_decides(monkeypatch):
  from threedim_jax.training import save_schedule

  clock = Clock(monkeypatch)
  monkeypatch.setattr(save_schedule.jax, "process_count", lambda: 2)
  asked = []

  def broadcast(mine):
    asked.append(bool(mine))
    return not mine  # process 0 sees it the other way

  monkeypatch.setattr(
    save_schedule.multihost_utils, "broadcast_one_to_all", broadcast
  )
  schedule = SaveSchedule(every_steps=100, every_minutes=1.0)
  assert schedule.due(1, ask_clock=True)
  clock.now += 100
  assert not schedule.due(2, ask_clock=False)
  assert not schedule.due(3, ask_clock=True)
  assert asked == [False, True]
