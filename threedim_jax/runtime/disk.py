# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes files atomically, checks free space, recognises full disks.

write_atomically(workdir / "evaluation.json", text)
"""

import errno
import math
import pathlib
import secrets
import shutil

from etils import epath

from threedim_jax.runtime.errors import UserError


def write_atomically(path: epath.PathLike, text: str) -> None:
  """Writes a hidden file beside `path`, then renames it to `path`.

  Readers see the old content or the new one, never a part. If two processes
  write the same path, the one that renames last wins.
  """
  path = epath.Path(path)
  unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
  try:
    unfinished.write_text(text)
    unfinished.replace(path)
  except BaseException:
    unfinished.unlink(missing_ok=True)
    raise


def check_free_space(
  path: epath.PathLike, bytes_needed: int | float, purpose: str
) -> None:
  """Raises if the disk of `path` has too little space; buckets never fill.

  Args:
    path: file or folder, which need not exist yet.
    bytes_needed: that will be written there.
    purpose: for the message, as in "checkpoints".

  Raises:
    UserError: fewer than `bytes_needed` bytes are free.
  """
  if "://" in str(path):
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
  """Whether an error, or one of its causes, says that a disk or quota is full.

  TensorStore and array_record say so in words only, without an errno.
  """
  while error is not None:
    text = str(error).lower()
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(
      words in text for words in ("no space left", "quota exceeded")
    ):
      return True
    error = error.__cause__ or error.__context__
  return False
