# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Errors that a user can act on, and the exit codes of the command line.

Raise `UserError` with one paragraph that names the wrong file or key and the
fix. `exit_with_message` prints that paragraph and exits with code 2. It also
ends a program after Ctrl-C.
"""

import contextlib
import os
import sys

EXIT_BAD_INPUT = 2  # wrong configuration, data set or file: do not restart
EXIT_PREEMPTED = 75  # stopped by SIGTERM after saving: start again to resume
EXIT_NO_PROGRESS = 124  # ended by the watchdog: start again to resume
EXIT_INTERRUPTED = 130  # ended by Ctrl-C; what shells report for SIGINT


class UserError(Exception):
  """Reports bad input; the message says what is wrong and how to fix it."""


def first_line(error: Exception) -> str:
  """Returns the first line of an error's text.

  If the error has no text, the result is the name of its type.
  """
  return str(error).strip().partition("\n")[0] or type(error).__name__


@contextlib.contextmanager
def exit_with_message(interrupted: str = "interrupted"):
  """Turns `UserError` and Ctrl-C in the `with` block into a line on stderr.

  There is no stack trace. The exit code is 2 after a `UserError` and 130 after
  Ctrl-C.

  Args:
    interrupted: the line to print after Ctrl-C.
  """
  try:
    yield
  except UserError as e:
    print(f"error: {e}", file=sys.stderr, flush=True)
    sys.exit(EXIT_BAD_INPUT)
  except KeyboardInterrupt:
    try:
      print(interrupted, file=sys.stderr, flush=True)
      sys.stdout.flush()
    finally:  # also if Ctrl-C has ended the reader of a pipe
      # If another thread compiles, XLA crashes in an ordinary exit.
      os._exit(EXIT_INTERRUPTED)
