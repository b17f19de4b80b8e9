# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Progress on standard error: a rich bar on a terminal, lines in a log.

  with progress.bar("render shapes", total=100) as bar:
    for item in items:
      ...
      bar.advance()
  with progress.waiting("compile the train step"):
    compiled = lowered.compile()

In a log, a background thread prints a line every `LOG_SECONDS` seconds, so
that a long call such as an XLA compilation does not look like a hang.
"""

from collections.abc import Iterator
import contextlib
import sys
import threading

import rich.console
import rich.progress

LOG_SECONDS = 4.5

_quiet = False


def set_quiet(quiet: bool) -> None:
  """Switches progress off. All processes but process 0 do so."""
  global _quiet
  _quiet = quiet


def console() -> rich.console.Console:
  """Standard error: standard output is for results alone."""
  return rich.console.Console(file=sys.stderr)


class Bar:
  """The value of `bar`; counts what is done.

  Attributes:
    shown: rich's progress display, with one task.
  """

  def __init__(self, shown: rich.progress.Progress, task: rich.progress.TaskID):
    self.shown = shown
    self._task = task

  def advance(self, amount: float | int = 1, note: str = "") -> None:
    """Adds to what is done. A note replaces the last one."""
    fields = {"note": note} if note else {}
    self.shown.update(self._task, advance=amount, **fields)

  def print_line(self) -> None:
    """Prints the state as one line, for a log."""
    task = self.shown.tasks[0]
    parts = [task.description]
    if task.total:
      counts = f"{task.completed:g}/{task.total:g}"
      parts.append(f"{counts} ({task.percentage:.0f}%)")
    if task.time_remaining:
      parts.append(f"{task.time_remaining:.0f}s left")
    parts += [f"{task.elapsed:.0f}s elapsed", task.fields["note"]]
    print(", ".join(filter(None, parts)), file=sys.stderr, flush=True)


@contextlib.contextmanager
def bar(
  description: str, total: float | int | None = None, done: float | int = 0
) -> Iterator[Bar]:
  """Shows progress while the `with` block runs.

  Args:
    description: what is going on.
    total: amount of work; None if unknown.
    done: the part of it that an earlier run did.
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
  result = Bar(shown, task)
  if on_terminal or _quiet:
    with shown:
      yield result
  else:
    with _printing_lines(result):
      yield result


@contextlib.contextmanager
def _printing_lines(shown: Bar) -> Iterator[None]:
  """Prints a line now and then, and one at the end unless there is an error."""
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
  """As `bar`, for work that has no steps."""
  with bar(description):
    yield
