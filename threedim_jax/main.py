# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command line: parses the flags and calls `modes/<mode>.py`.

  python -m threedim_jax.main --config=configs/srn_chairs.py --workdir=W
  python -m threedim_jax.main --help
  threedim-jax sample --pretrained=shapes64 --image=photo.jpg --workdir=W

Exit codes: 0 done, 2 bad input, 75 stopped by SIGTERM after saving (training,
sampling and evaluation), 124 no progress (see `runtime.watchdog`), 130 stopped
by Ctrl-C without saving, 134 another process of the run failed or is missing
(see `runtime.processes`).
"""

import contextlib
import errno
import importlib
import sys
import time

import jax

from threedim_jax.modes import command_line
from threedim_jax.runtime import progress
from threedim_jax.runtime.compilation_cache import use_compilation_cache
from threedim_jax.runtime.disk import (
  absolute,
  cannot_read,
  cannot_use,
  check_writable,
  is_full_disk,
)
from threedim_jax.runtime.errors import UserError, exit_with_message
from threedim_jax.runtime.processes import maybe_initialize, wait_for_all
from threedim_jax.viewing.report import write_report
from threedim_jax.workdir.config_file import check_workdir
from threedim_jax.workdir.timings import add_timings

INTERRUPTED = (
  "interrupted: run the same command again to go on; finished results are kept"
)
# System errors about a path that cannot be used: no permission, a file in place
# of a folder, or a name that the file system does not take.
REFUSED = (
  *(errno.EACCES, errno.EPERM, errno.EROFS),
  *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
  *(errno.ENAMETOOLONG, errno.ELOOP),
)


def main(argv: list[str] | None = None) -> None:
  """Runs the command that the flags describe.

  Args:
    argv: the program's name, then its flags. None: use `sys.argv`.
  """
  with exit_with_message(INTERRUPTED):
    mode, config, args = command_line.parse(argv or sys.argv)
    use_compilation_cache()
    with explain_disk_errors(args.workdir or args.samples or args.views):
      if args.dry_run:
        if args.topology:  # the compilation may take an hour
          check_writable(args.workdir or ".")
        call_mode("dry_run", config, args)
        return
      if args.workdir:
        check_writable(args.workdir)  # before hours of work that would be lost
      if mode in command_line.RUN_MODES:
        run_in_workdir(mode, config, args)
      else:
        call_mode(mode, config, args)


def call_mode(mode: str, config, args) -> None:
  """Imports `modes/<mode>.py` and calls its `run` function.

  The other modes are not imported, because each mode needs different libraries.
  """
  importlib.import_module(f"threedim_jax.modes.{mode}").run(config, args)


def run_in_workdir(mode: str, config, args) -> None:
  """Trains, samples or evaluates in a workdir, then writes its report.html.

  The mode's run time in seconds is added to timings.json in the workdir.

  Raises:
    UserError: the input is wrong. Errors that are found before the mode starts
      leave the workdir unchanged.
  """
  workdir = command_line.workdir_of(args)
  # Join the other processes before JAX is used. Only process 0 shows progress.
  print(maybe_initialize(), file=sys.stderr, flush=True)
  is_primary = jax.process_index() == 0  # only process 0 writes shared files
  progress.set_quiet(not is_primary)
  if mode != "train" and not (
    args.pretrained or (workdir / "checkpoints").exists()
  ):
    raise UserError(
      f"{workdir} holds no trained model. Train one with the same command and"
      " --mode=train, or use bundled weights, for example --pretrained=shapes64"
    )
  check_workdir(workdir, config.to_dict(), write=False)
  start = time.monotonic()
  try:
    call_mode(mode, config, args)
  finally:  # also when a signal stops the run
    if is_primary and workdir.exists():
      add_timings(workdir, {mode: time.monotonic() - start})
  if is_primary:
    print(f"report: {write_report(workdir)}")
  wait_for_all(f"end of {mode}")


@contextlib.contextmanager
def explain_disk_errors(folder: str | None):
  """Turns disk errors in the `with` block into a `UserError`.

  A disk error is a full disk or a path that cannot be used.

  Args:
    folder: the folder that the command writes to or reads from. None: the
      working directory.
  """
  folder = absolute(folder or ".")
  try:
    yield
  except UserError:
    raise
  except Exception as e:
    if is_full_disk(e):
      raise UserError(
        f"the disk of {folder} is full. Free some space and run the same"
        " command again: finished results are kept."
      ) from e
    if getattr(e, "errno", None) not in REFUSED:
      raise
    path = absolute(e.filename or folder)
    # No read fails because a file exists, or because nothing can be written.
    is_output = path.is_relative_to(folder) or e.errno in (
      errno.EEXIST,
      errno.EROFS,
    )
    raise (cannot_use if is_output else cannot_read)(path, e) from e


if __name__ == "__main__":
  main(sys.argv)
