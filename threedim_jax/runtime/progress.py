# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Progress that never stays silent: a bar on a terminal, lines in a log.

  with progress.bar("render shapes", total=100) as bar:
    for item in items:
      ...
      bar.advance()
  with progress.waiting("compile the train step"):
    compiled = lowered.compile()

On a terminal this is a rich progress bar. Elsewhere (a log file, CI) a
background thread prints one line every `LOG_SECONDS` seconds, so that a long
call such as an XLA compilation is not mistaken for a hang.
"""

from collections.abc import Iterator
import contextlib
import sys
import threading
import time

import rich.console
import rich.progress

LOG_SECONDS = 4.5

_quiet = False


def set_quiet(quiet: bool) -> None:
  """Shows no more bars, for all but the first of several processes."""
  global _quiet
  _quiet = quiet


def console() -> rich.console.Console:
  """Standard error, so that standard output stays clean for results."""
  return rich.console.Console(file=sys.stderr)


class _NoBar:
  """For those that stay quiet."""

  def advance(self, amount: float | int = 1, note: str = "") -> None:
    pass

  def __enter__(self):
    return self

  def __exit__(self, *_):
    pass


class _LogBar:
  """The same two methods as a rich bar, printed as plain lines."""

  def __init__(
    self, description: str, total: float | int | None, done: float | int
  ):
    self.description, self.total = description, total
    self.completed, self._done_before = done, done
    self._note = ""
    self._start = time.monotonic()
    self._stop = threading.Event()
    self._thread = threading.Thread(target=self._run, daemon=True)

  def advance(self, amount: float | int = 1, note: str = "") -> None:
    self.completed += amount
    self._note = note or self._note

  def line(self) -> str:
    elapsed = time.monotonic() - self._start
    parts = [self.description]
    if self.total:
      fraction = self.completed / self.total
      parts.append(f"{self.completed:g}/{self.total:g} ({fraction:.0%})")
      now, left = (
        self.completed - self._done_before,
        self.total - self.completed,
      )
      if now > 0 and left > 0:
        parts.append(f"{elapsed / now * left:.0f}s left")
    parts.append(f"{elapsed:.0f}s elapsed")
    if self._note:
      parts.append(self._note)
    return ", ".join(parts)

  def _run(self) -> None:
    while not self._stop.wait(LOG_SECONDS):
      print(self.line(), file=sys.stderr, flush=True)

  def __enter__(self):
    self._thread.start()
    return self

  def __exit__(self, exc_type, *_):
    self._stop.set()
    self._thread.join()
    if exc_type is None:
      print(self.line(), file=sys.stderr, flush=True)


class _RichBar:
  def __init__(
    self, description: str, total: float | int | None, done: float | int
  ):
    self._progress = rich.progress.Progress(
      rich.progress.SpinnerColumn(),
      rich.progress.TextColumn("{task.description}"),
      rich.progress.BarColumn(),
      rich.progress.MofNCompleteColumn(),
      rich.progress.TimeElapsedColumn(),
      rich.progress.TimeRemainingColumn(),
      rich.progress.TextColumn("{task.fields[note]}"),
      console=console(),
    )
    self._task = self._progress.add_task(
      description, total=total, completed=done, note=""
    )

  def advance(self, amount: float | int = 1, note: str = "") -> None:
    fields = {"note": note} if note else {}
    self._progress.update(self._task, advance=amount, **fields)

  def __enter__(self):
    self._progress.start()
    return self

  def __exit__(self, *_):
    self._progress.stop()


def bar(
  description: str, total: float | int | None = None, done: float | int = 0
):
  """A context manager whose value has `advance(amount=1, note="")`.

  Args:
    description: what is going on.
    total: amount of work; None if unknown.
    done: part of it that an earlier run did.
  """
  if _quiet:
    return _NoBar()
  kind = _RichBar if console().is_terminal else _LogBar
  return kind(description, total, done)


@contextlib.contextmanager
def waiting(description: str) -> Iterator[None]:
  """Says every few seconds that `description` is still going on."""
  with bar(description):
    yield
