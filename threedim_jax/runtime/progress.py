# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Shows progress on standard error: a bar on a terminal, lines in a log.

  with progress.bar("render shapes", total=100, unit="object") as bar:
    for item in items:
      ...
      bar.advance()
  with progress.waiting("compile the train step"):
    compiled = lowered.compile()

In a log, a background thread prints a line every `LOG_SECONDS` seconds, so that
a long call such as an XLA compilation does not look like a hang.

If more than a minute of work remains, a line says so as soon as the first units
of work have been timed:

  render shapes: about 4 min 03 s more, 99 objects at 2.5 s each, measured on
  the first 2
"""

from collections.abc import Iterator
import contextlib
import sys
import threading

import rich.console
import rich.progress

LOG_SECONDS = 4.5
# An estimate needs at least one unit of work, and this many timed seconds.
MEASURE_SECONDS = 3.0
ANNOUNCE_SECONDS = 60.0  # shorter work gets no estimate

_quiet = False


def set_quiet(quiet: bool) -> None:
  """Turns progress messages off or on for this process.

  In a run of several processes, only process 0 shows progress.
  """
  global _quiet
  _quiet = quiet


def console() -> rich.console.Console:
  """Returns a console on standard error; standard output is for results."""
  return rich.console.Console(file=sys.stderr)


def duration(seconds: float | int) -> str:
  """Formats seconds as "0.021 s", "21.4 s", "5 min 41 s" or "2 h 03 min"."""
  if seconds < 1:
    return f"{seconds:.2g} s"
  if seconds < 60:
    return f"{seconds:.1f} s"
  minutes, rest = divmod(round(seconds), 60)
  if minutes < 60:
    return f"{minutes} min {rest:02d} s"
  return f"{minutes // 60} h {minutes % 60:02d} min"


class Bar:
  """Reports the progress of one piece of work; made by the function `bar`.

  Attributes:
    shown: progress display of the library `rich`, with one task.
  """

  def __init__(
    self,
    shown: rich.progress.Progress,
    task: rich.progress.TaskID,
    unit: str,
    skip_first: bool,
  ):
    self.shown = shown
    self._task = task
    self._unit, self._skip = unit, skip_first
    self._timed = 0  # units since `_since`
    self._since = shown.get_time()

  def advance(self, amount: float | int = 1, note: str = "") -> None:
    """Adds `amount` units to the work that is done.

    `note` is shown beside the progress from now on; "" keeps the old note.
    """
    fields = {"note": note} if note else {}
    self.shown.update(self._task, advance=amount, **fields)
    if self._skip and amount:
      self.restart_clock()
    elif self._unit and amount:
      self._timed += amount
      self._announce()

  def restart_clock(self) -> None:
    """Starts timing anew: the estimate ignores all work done so far."""
    self._skip = False
    self._timed, self._since = 0, self.shown.get_time()

  def _announce(self) -> None:
    """Prints the estimated remaining time once, and only if it is long."""
    elapsed = self.shown.get_time() - self._since
    if elapsed < MEASURE_SECONDS:
      return
    task, unit = self.shown.tasks[0], self._unit
    self._unit = ""
    if task.total is None or _quiet:
      return
    each, left = elapsed / self._timed, task.total - task.completed
    if not left or each * left < ANNOUNCE_SECONDS:
      return
    first = "" if self._timed == 1 else f" {self._timed:,}"
    # No markup and no wrapping. On a terminal the line appears above the bar.
    self.shown.console.print(
      f"{task.description}: about {duration(each * left)} more, {left:,}"
      f" {unit}{'s' * (left != 1)} at {duration(each)} each, measured on the"
      f" first{first}",
      markup=False,
      emoji=False,
      highlight=False,
      soft_wrap=True,
    )

  def print_line(self) -> None:
    """Prints the progress as one line, for a log."""
    task = self.shown.tasks[0]
    parts = [task.description]
    if task.total:
      counts = f"{task.completed:,.10g}/{task.total:,.10g}"
      parts.append(f"{counts} ({task.percentage:.0f}%)")
    if task.time_remaining:
      parts.append(f"{task.time_remaining:.0f}s left")
    parts += [f"{task.elapsed:.0f}s elapsed", task.fields["note"]]
    print(", ".join(filter(None, parts)), file=sys.stderr, flush=True)


@contextlib.contextmanager
def bar(
  description: str,
  total: float | int | None = None,
  done: float | int = 0,
  unit: str = "",
  skip_first: bool = False,
) -> Iterator[Bar]:
  """Shows progress while the `with` block runs.

  Args:
    description: what is done, such as "render shapes".
    total: number of units of work; None if unknown.
    done: number of units that an earlier run has done.
    unit: what one unit is, in the singular, such as "object". If given, a line
      estimates how long the remaining work takes.
    skip_first: whether the estimate ignores the work before the first
      `advance`, which includes a compilation or the start of worker processes.

  Returns:
    A `Bar`, whose `advance` reports finished work.
  """
  screen = console()
  on_terminal = screen.is_terminal and not _quiet
  shown = rich.progress.Progress(
    rich.progress.SpinnerColumn(),
    rich.progress.TextColumn("{task.description}"),
    rich.progress.BarColumn(),
    rich.progress.MofNCompleteColumn(),
    rich.progress.TimeElapsedColumn(),
    rich.progress.TimeRemainingColumn(),
    rich.progress.TextColumn("{task.fields[note]}"),
    console=screen,
    disable=not on_terminal,  # switches off drawing; rich still counts
  )
  task = shown.add_task(description, total=total, completed=done, note="")
  result = Bar(shown, task, unit, skip_first)
  if on_terminal or _quiet:
    with shown:
      yield result
  else:
    with _printing_lines(result):
      yield result


@contextlib.contextmanager
def _printing_lines(shown: Bar) -> Iterator[None]:
  """Prints the progress every `LOG_SECONDS` while the `with` block runs.

  A last line follows at the end, unless the block raised an error.
  """
  stop = threading.Event()

  def print_until_stopped():
    while not stop.wait(LOG_SECONDS):
      shown.print_line()

  thread = threading.Thread(target=print_until_stopped, daemon=True)
  thread.start()
  try:
    yield
  finally:
    stop.set()
    thread.join()
  shown.print_line()


@contextlib.contextmanager
def waiting(description: str) -> Iterator[None]:
  """Shows progress like `bar`, for work that has no steps to count."""
  with bar(description):
    yield
