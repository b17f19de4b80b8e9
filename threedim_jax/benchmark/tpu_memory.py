# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Asks the TPU compiler for a program's memory, without waiting for its code.

  size = planned_bytes([sys.executable, "-c", SCRIPT], "jit_train_step")

The compiler plans the memory of a program before it generates the code, which
takes most of the time. With a certain flag it writes its plan to a file at that
moment. Here the compiler runs in a process of its own, which is ended as soon
as that file is there.
"""

from collections.abc import Sequence
import os
import pathlib
import re
import subprocess
import tempfile
import time

_TOTAL = re.compile(r"Memory Space: default.*\nTotal bytes: (\d+)")
_POLL_SECONDS = 0.5


def planned_bytes(command: Sequence[str], program: str) -> int | None:
  """Runs a command that compiles a program, until its memory is planned.

  Args:
    command: command that compiles the program for a TPU.
    program: name of the program in HLO, such as "jit_train_step".

  Returns:
    Bytes of one device's memory that the program takes, arguments included. It
    is the size of the whole plan, which has small gaps. None if the command
    ended before there was a plan, as it does if the program does not fit.

  Raises:
    CalledProcessError: the command failed.
  """
  with tempfile.TemporaryDirectory() as folder:
    flags = (
      f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={folder}"
      f" --xla_dump_hlo_module_re={program}"
    )
    process = subprocess.Popen(command, env={**os.environ, "XLA_FLAGS": flags})
    try:
      while process.poll() is None:
        time.sleep(_POLL_SECONDS)
        if (total := _read_total(pathlib.Path(folder), program)) is not None:
          return total
    finally:
      process.kill()
      process.wait()
    if process.returncode:
      raise subprocess.CalledProcessError(process.returncode, command)
    return _read_total(pathlib.Path(folder), program)


def _read_total(folder: pathlib.Path, program: str) -> int | None:
  """Reads the size of the plan; None if there is none yet."""
  for file in folder.glob(f"*{program}*memory-usage-report.txt"):
    if match := _TOTAL.search(file.read_text()):
      return int(match[1])
  return None
