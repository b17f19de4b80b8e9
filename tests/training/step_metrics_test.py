# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a log interval adds up, and when a run saves."""

import time

import jax
import numpy as np
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.training import save_schedule
from threedim_jax.training.save_schedule import SaveSchedule
from threedim_jax.training.step_metrics import LogInterval, evaluate_loss


class Clock:
  def __init__(self, monkeypatch):
    self.now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
  return Clock(monkeypatch)


def metrics(loss, sums=(0.0, 0.0), counts=(0.0, 0.0), **norms):
  return {
    "loss": np.float32(loss),
    "grad_norm": np.float32(norms.get("grad_norm", 1.0)),
    "param_norm": np.float32(norms.get("param_norm", 2.0)),
    "bin_sum": np.float32(sums),
    "bin_count": np.float32(counts),
  }


def test_an_interval_means_its_steps_and_counts_its_seconds(clock):
  interval = LogInterval("w")
  interval.add(1, metrics(2.0, sums=(3.0, 0.0), counts=(1.0, 0.0)))
  with interval.timed("data"):
    clock.now += 1
  clock.now += 6
  interval.add(2, metrics(4.0, sums=(5.0, 0.0), counts=(3.0, 0.0)))
  with interval.timed("save"):
    clock.now += 2
  with interval.timed("eval"):
    clock.now += 3
  assert interval.summarize() == {
    "train/loss": 3.0,
    "train/grad_norm": 1.0,
    "train/param_norm": 2.0,
    "train/loss_logsnr_bin_0": 2.0,  # 8 / 4; no example fell into bin 1
    "time/data": 0.5,
    "time/step": 3.0,
    "time/save": 1.0,
    "time/eval": 1.5,
  }
  interval.add(3, metrics(7.0))
  second = interval.summarize()
  assert second["train/loss"] == 7.0
  assert sum(v for k, v in second.items() if k.startswith("time/")) == 0.0


@pytest.mark.parametrize("name", ["loss", "grad_norm", "param_norm"])
def test_a_step_that_is_not_finite_is_told_at_the_next(name):
  interval = LogInterval("runs/x")
  interval.add(1, metrics(1.0))
  interval.add(2, metrics(**{"loss": 1.0, name: np.nan}))
  message = rf"{name} is nan at step 2; .* runs/x is from before and good"
  with pytest.raises(UserError, match=message):
    interval.add(3, metrics(1.0))
  interval.add(4, metrics(**{"loss": 1.0, name: np.inf}))
  with pytest.raises(UserError, match=f"{name} is inf at step 4"):
    interval.fetch()


def test_evaluation_means_its_batches_and_can_be_stopped():
  grid = np.zeros((1, 4, 2, 2, 3), np.float32)
  asked = []

  def eval_step(params, batch, rng):
    result = metrics(params * batch, sums=(batch, 0.0), counts=(2.0, 0.0))
    del result["grad_norm"], result["param_norm"]
    return result, grid

  def should_stop():
    asked.append(None)
    return len(asked) == 4

  args = (eval_step, [1.0, 2.0, 3.0], jax.random.key(0), 10.0, should_stop)
  scalars, picture = evaluate_loss(*args)
  assert scalars == {"eval/loss": 20.0, "eval/loss_logsnr_bin_0": 1.0}
  assert picture.dtype == np.uint8 and picture.ndim == 3
  assert evaluate_loss(*args) is None and len(asked) == 4


def test_saves_by_step_and_by_time(clock):
  schedule = SaveSchedule(every_steps=10, every_minutes=1.0)
  due = []
  for step in range(1, 31):
    clock.now += 13 if step < 21 else 1
    if schedule.is_due(step, ask_clock=step % 2 == 0):
      due.append(step)
  # 60 s are 5 steps, and it looks at the even ones; each save starts anew.
  assert due == [6, 10, 16, 20, 30]


def test_the_clock_of_process_0_decides(clock, monkeypatch):
  monkeypatch.setattr(save_schedule.jax, "process_count", lambda: 2)
  asked = []

  def broadcast(mine):
    asked.append(bool(mine))
    return not mine  # process 0 sees it the other way

  monkeypatch.setattr(
    save_schedule.multihost_utils, "broadcast_one_to_all", broadcast
  )
  schedule = SaveSchedule(every_steps=100, every_minutes=1.0)
  assert schedule.is_due(1, ask_clock=True)
  clock.now += 100
  assert not schedule.is_due(2, ask_clock=False)
  assert not schedule.is_due(3, ask_clock=True)
  assert asked == [False, True]
