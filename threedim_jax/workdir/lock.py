# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Keeps a second training out of a workdir.

  with lock(workdir):
    ...  # no other process on this machine trains in `workdir`

Two trainings in one workdir would delete each other's unfinished checkpoints.
"""

from collections.abc import Iterator
import contextlib
import fcntl
import os
import time

from etils import epath

from threedim_jax.runtime import progress
from threedim_jax.runtime.disk import is_bucket
from threedim_jax.runtime.errors import UserError

# A training that was told to stop saves first. The next one waits for it.
WAIT_SECONDS = 60.0


@contextlib.contextmanager
def lock(workdir: epath.PathLike) -> Iterator[None]:
  """Holds a workdir for this process. If another one holds it, waits.

  A missing folder is made. The lock lies on the folder itself and ends with the
  process that holds it. A folder that cannot be locked, such as a gs:// path,
  is not protected.

  Raises:
    UserError: another process still holds the workdir after `WAIT_SECONDS`.
  """
  if is_bucket(workdir):  # a bucket has no locks
    yield
    return
  if not os.path.exists(workdir):
    os.makedirs(workdir, exist_ok=True)
  folder = os.open(workdir, os.O_RDONLY)
  try:
    if not _acquire(folder):
      with progress.waiting(f"wait for another training in {workdir} to stop"):
        _wait(folder, workdir)
    yield
  finally:
    os.close(folder)  # also unlocks


def _wait(folder: int, workdir: epath.PathLike) -> None:
  deadline = time.monotonic() + WAIT_SECONDS
  while time.monotonic() < deadline:
    time.sleep(0.2)
    if _acquire(folder):
      return
  raise UserError(
    f"another process is training in {workdir}: stop it, or choose another"
    " --workdir"
  )


def _acquire(folder: int) -> bool:
  """Returns False if another process has the lock."""
  try:
    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  except OSError:  # this file system has no locks
    pass
  return True
