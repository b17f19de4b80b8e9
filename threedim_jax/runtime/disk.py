# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes paths absolute, reads and writes files, checks folders and disks.

write_atomically(workdir / "evaluation.json", text)
"""

import errno
import math
import os
import pathlib
import secrets
import shutil

from etils import epath

from threedim_jax.runtime.errors import UserError


def write_atomically(path: epath.PathLike, text: str) -> None:
  """Writes a file so that no reader ever sees a half-written file.

  The text first goes to a hidden file beside `path`, which is then renamed to
  `path`. Readers see the old or the new content. If two processes write to the
  same path, the last rename wins.
  """
  path = epath.Path(path)
  unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
  try:
    unfinished.write_text(text)
    unfinished.replace(path)
  except BaseException:
    unfinished.unlink(missing_ok=True)
    raise


def is_bucket(path: epath.PathLike) -> bool:
  """Returns whether a path is in a cloud bucket, as gs://bucket/run."""
  return "://" in os.fspath(path)


def absolute(path: epath.PathLike) -> epath.Path:
  """Returns the absolute path; that of a cloud bucket (gs://) is one already.

  `epath.Path.absolute` would turn gs://bucket into a folder of this machine.
  """
  path = epath.Path(path)
  return path if is_bucket(path) else path.absolute()


def read_input(path: epath.PathLike) -> bytes:
  """Reads a file that the user gave.

  Raises:
    UserError: the file cannot be read.
  """
  try:
    return epath.Path(path).read_bytes()
  except OSError as e:
    raise cannot_read(path, e) from e


def cannot_read(path: epath.PathLike, error: OSError) -> UserError:
  """Makes the error for a file that the system refuses to read."""
  return UserError(f"{path} cannot be read ({error.strerror}).")


def check_writable(folder: epath.PathLike) -> None:
  """Raises an error if a folder cannot be made or written to.

  Raises:
    UserError: no file can be written there, see `write_probe`.
    OSError: the disk is full.
  """
  try:
    write_probe(folder)
  except OSError as e:
    if is_full_disk(e):
      raise
    raise cannot_use(folder, e) from e


def write_probe(folder: epath.PathLike) -> None:
  """Writes a file in a folder and deletes it.

  If the folder does not exist, the file goes to the nearest parent that does,
  and the folder is not made. In cloud buckets nothing is written.

  Raises:
    OSError: no file can be written there.
  """
  if is_bucket(folder):
    return
  parent = pathlib.Path(folder).absolute()
  while not _exists(parent):
    parent = parent.parent
  probe = parent / f".{secrets.token_hex(8)}.tmp"
  try:
    probe.write_bytes(b"probe")
  finally:
    probe.unlink(missing_ok=True)


def cannot_use(path: epath.PathLike, error: OSError) -> UserError:
  """Makes the error for a path that the system refuses to write to."""
  return UserError(
    f"{path} cannot be used ({error.strerror}): make it a folder that you may"
    " write to, or name another one with --workdir"
  )


def _exists(path: pathlib.Path) -> bool:
  """Like `Path.exists`, but raises errors such as "too long" in all Pythons."""
  try:
    path.stat()
  except FileNotFoundError:
    return False
  return True


def check_free_space(
  path: epath.PathLike, bytes_needed: int | float, purpose: str
) -> None:
  """Raises a `UserError` if the disk of `path` has too little free space.

  Cloud buckets are not checked, because they never fill up.

  Args:
    path: file or folder, which need not exist yet.
    bytes_needed: number of bytes that will be written there.
    purpose: what needs the space, such as "checkpoints", for the error message.

  Raises:
    UserError: fewer than `bytes_needed` bytes are free.
  """
  if is_bucket(path):
    return
  folder = pathlib.Path(path).absolute()
  while not folder.exists():
    folder = folder.parent
  free = shutil.disk_usage(folder).free
  if free < bytes_needed:
    raise UserError(
      f"not enough disk space for {purpose}: {_megabytes(bytes_needed)} are"
      f" needed in {path}, {_megabytes(free)} are free. Free some space or use"
      " a folder on another disk."
    )


def _megabytes(size: int | float) -> str:
  return f"{math.ceil(size / 1e6):,} MB"


def is_full_disk(error: BaseException | None) -> bool:
  """Tells whether an error or one of its causes reports a full disk or quota.

  The text of the error is searched, too, because TensorStore, array_record and
  TFDS do not set the error number.
  """
  while error is not None:
    text = str(error).lower()
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(
      words in text
      for words in ("no space left", "not enough disk space", "quota exceeded")
    ):
      return True
    error = error.__cause__ or error.__context__
  return False
