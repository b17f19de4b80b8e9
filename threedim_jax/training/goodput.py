# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where a run's time goes: goodput.jsonl, summed over restarts.

A line per log interval: {"step", "time", "starts", "goodput", "seconds":
{phase: seconds}}. The phases add up to the time that the program ran; `step`
is the useful one, and `goodput` its share. The sums travel in the checkpoint,
so that a workdir that lost the file goes on with them; what a killed process
did after its last save moves to `lost`.

  goodput = Goodput(workdir)
  with goodput.phase("restore"): ...
  goodput.resume(step, carried)  # carried: goodput.totals() of the checkpoint
  with goodput.phase("data"): ...
  goodput.write(step)
"""

from collections.abc import Iterator, Mapping
import contextlib
import json
import time
from typing import Any

from etils import epath
import jax

GOODPUT_FILE = "goodput.jsonl"
PHASES = ("startup", "restore", "compile", "data", "step", "eval", "save")
LOST = "lost"


class Goodput:
  """Every second since its making belongs to one phase, `startup` at first."""

  def __init__(self, workdir: epath.PathLike):
    self._path = epath.Path(workdir) / GOODPUT_FILE
    self._seconds = dict.fromkeys((*PHASES, LOST), 0.0)
    self._starts = 1
    self._clean = False  # whether the file is known to end with a whole line
    self._phase, self._since = "startup", time.monotonic()

  def enter(self, phase: str) -> str:
    """Later time belongs to `phase`; returns the one it belonged to before."""
    now = time.monotonic()
    self._seconds[self._phase] += now - self._since
    previous, self._phase, self._since = self._phase, phase, now
    return previous

  @contextlib.contextmanager
  def phase(self, name: str) -> Iterator[None]:
    previous = self.enter(name)
    try:
      yield
    finally:
      self.enter(previous)

  def totals(self) -> dict[str, Any]:
    """What the checkpoint carries: {"starts", "seconds"}."""
    self.enter(self._phase)
    seconds = {name: round(s, 3) for name, s in self._seconds.items()}
    return {"starts": self._starts, "seconds": seconds}

  def resume(self, step: int, carried: Mapping[str, Any] | None) -> None:
    """Adds what earlier processes took to the sums.

    Args:
      step: that of the checkpoint; 0 if there is none.
      carried: `totals()` as the checkpoint has it; None if it has none.
    """
    before = carried or {"starts": 0, "seconds": {}}
    line = read_goodput(self._path.parent)
    if carried is None and line is None:
      return
    if line is not None:
      lost = sum(line["seconds"].values()) - sum(before["seconds"].values())
      if line["step"] <= step:  # it ended in peace: saving is all it did since
        before = line if lost > 0 else before
      else:
        seconds = dict(before["seconds"])
        seconds[LOST] = seconds.get(LOST, 0.0) + max(0.0, lost)
        before = {"starts": line["starts"], "seconds": seconds}
    self._starts = before["starts"] + 1
    for name, seconds in before["seconds"].items():
      self._seconds[name] = self._seconds.get(name, 0.0) + seconds

  def write(self, step: int) -> None:
    """Appends a line (process 0)."""
    totals = self.totals()
    if jax.process_index() != 0:
      return
    share = totals["seconds"]["step"] / max(sum(totals["seconds"].values()), 1)
    line = {
      "step": step,
      "time": round(time.time(), 1),
      "goodput": round(share, 4),
      **totals,
    }
    if not self._clean:
      self._end_cut_line()
    with self._path.open("a") as f:
      f.write(json.dumps(line) + "\n")

  def _end_cut_line(self) -> None:
    """A kill may have cut the last line short: the next shall not suffer."""
    data = self._path.read_bytes() if self._path.exists() else b""
    if data and not data.endswith(b"\n"):
      self._path.write_bytes(data + b"\n")
    self._clean = True


def read_goodput(workdir: epath.PathLike) -> dict[str, Any] | None:
  """The last whole line of goodput.jsonl; None if there is none.

  These are only times: a line that was cut short or damaged is passed over.
  """
  path = epath.Path(workdir) / GOODPUT_FILE
  lines = path.read_bytes().splitlines() if path.exists() else []
  for text in reversed(lines):
    try:
      line = json.loads(text)
      assert isinstance(line["step"], int) and isinstance(line["starts"], int)
      sum(line["seconds"].values())
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError):
      continue
    return line
  return None
