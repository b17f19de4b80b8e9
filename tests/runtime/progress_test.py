# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Nothing stays silent: lines in a log, a bar on a terminal."""

import io
import time

import pytest
import rich.console

from threedim_jax.runtime import progress


def _heard(capsys, description: str) -> list[str]:
  """Lines of one bar: those that other tests abandoned may still speak."""
  lines = capsys.readouterr().err.splitlines()
  return [line for line in lines if line.startswith(f"{description}, ")]


def test_a_long_call_is_heard_of(monkeypatch, capsys):
  assert progress.LOG_SECONDS < 5
  monkeypatch.setattr(progress, "LOG_SECONDS", 0.02)
  with progress.waiting("compile"):
    time.sleep(0.2)
  assert len(_heard(capsys, "compile")) >= 4


def test_time_left_does_not_count_what_an_earlier_run_did(monkeypatch, capsys):
  now = 100.0
  screen = rich.console.Console(file=io.StringIO(), get_time=lambda: now)
  monkeypatch.setattr(progress, "console", lambda: screen)
  with progress.bar("train", total=100, done=50) as bar:
    bar.advance(10)
    now = 110.0
    bar.advance(10, note="loss 0.5")
    capsys.readouterr()
    bar.print_line()
    line = "train, 70/100 (70%), 30s left, 10s elapsed, loss 0.5"
    assert _heard(capsys, "train") == [line]


@pytest.mark.parametrize(
  "done, total, counts",
  [(3, 4, "3/4"), (0.5, 2.5, "0.5/2.5"), (250_000, 1e6, "250,000/1,000,000")],
)
def test_counts_are_written_out(capsys, done, total, counts):
  with progress.bar("steps", total=total, done=done):
    pass
  (line,) = _heard(capsys, "steps")
  assert line.startswith(f"steps, {counts} (")


@pytest.mark.parametrize(
  "skip_first, ticks, line",
  [
    # (seconds, units done in them) of every `advance`
    (False, [(9, 1), (20, 1)], "3 min 27 s more, 23 views at 9.0 s each,"
     " measured on the first"),
    (True, [(500, 1), (9, 1)], "3 min 18 s more, 22 views at 9.0 s each,"
     " measured on the first"),
    # Short units are timed together, for 3 s.
    (False, [(2.5, 1), (4.5, 1), (9, 1)], "1 min 17 s more, 22 views at"
     " 3.5 s each, measured on the first 2"),
    (False, [(1, 1), (1, 1)], None),  # not yet
    (False, [(2.6, 1), (2.6, 1)], None),  # 57 s are not worth a line
  ],
)  # fmt: skip
def test_long_work_says_once_how_long_it_takes(
  monkeypatch, skip_first, ticks, line
):
  now = 0.0
  text = io.StringIO()
  screen = rich.console.Console(file=text, get_time=lambda: now, width=40)
  monkeypatch.setattr(progress, "console", lambda: screen)
  with progress.bar(
    "sample [views]", total=24, unit="view", skip_first=skip_first
  ) as bar:
    for seconds, amount in ticks:
      now += seconds
      bar.advance(amount)
  said = text.getvalue().splitlines()
  assert said == ([f"sample [views]: about {line}"] if line else [])


def test_what_came_before_restart_clock_is_not_measured(monkeypatch):
  now = 0.0
  text = io.StringIO()
  screen = rich.console.Console(file=text, get_time=lambda: now)
  monkeypatch.setattr(progress, "console", lambda: screen)
  with progress.bar("sample", total=11, done=1, unit="view") as bar:
    now += 100
    bar.restart_clock()
    now += 10
    bar.advance()
  assert text.getvalue().startswith("sample: about 1 min 30 s more, 9 views")


def test_failure_is_not_reported_as_done(capsys):
  try:
    with progress.bar("work", total=2) as bar:
      bar.advance()
      raise KeyError
  except KeyError:
    pass
  assert not _heard(capsys, "work")


def test_a_terminal_gets_a_bar(monkeypatch):
  screen = io.StringIO()
  terminal = rich.console.Console(file=screen, force_terminal=True, width=120)
  monkeypatch.setattr(progress, "console", lambda: terminal)
  with progress.bar("train", total=4, done=1) as bar:
    bar.advance(1, note="loss 0.5")
  assert "2/4" in screen.getvalue()
  assert "loss 0.5" in screen.getvalue()
