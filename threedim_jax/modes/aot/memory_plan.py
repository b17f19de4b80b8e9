# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads a program's memory as soon as the TPU compiler has planned it.

  size = planned_bytes([sys.executable, "-c", SCRIPT], "jit_train_step")

The compiler plans the memory of a program before it generates the code, which
takes most of the time: the full model's memory is known after a minute or two,
its code after half an hour. With a flag of XLA, the compiler writes the plan to
a file at that moment. The compiler runs in a process of its own, because XLA
reads its flags only once.
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
    is the size of the whole plan, which has small gaps. It may be more than the
    device has. None if the command ended without a plan.

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
        if (total := _read_total(folder, program)) is not None:
          return total
    finally:
      process.kill()
      process.wait()
    if process.returncode:
      raise subprocess.CalledProcessError(process.returncode, command)
    return _read_total(folder, program)


def _read_total(folder: str, program: str) -> int | None:
  """Reads the bytes of a program's plan; None if there is no plan yet."""
  for file in pathlib.Path(folder).glob(f"*{program}*memory-usage-report.txt"):
    if match := _TOTAL.search(file.read_text()):
      return int(match[1])
  return None
