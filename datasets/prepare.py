# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds a data set unless it is complete, and cleans up after killed builds.

  built = prepare(folder, make_builder)    # False: it was complete already

A folder is complete if it holds `objects.json`, which is written last.
"""

from collections.abc import Callable
import contextlib
import fcntl
import io
import json
import pathlib
import shutil

import tensorflow_datasets as tfds
from view_builder import OBJECTS_FILE, ViewBuilder

from threedim_jax.runtime.disk import is_full_disk
from threedim_jax.runtime.errors import UserError


def prepare(
  folder: pathlib.Path,
  make_builder: Callable[[], ViewBuilder],
  overwrite: bool = False,
) -> bool:
  """Builds the data set, unless it is complete.

  Args:
    folder: of this version of the data set.
    make_builder: makes the builder, once `folder` is locked.
    overwrite: build again even if the data set is complete. If the new build
      fails or is killed, the old data set is kept.

  Returns:
    Whether it was built.

  Raises:
    UserError: another process is building it, it was built with other settings,
      or the disk is full.
  """
  with _lock(folder):
    if is_complete(folder):
      shutil.rmtree(_kept(folder), ignore_errors=True)
    else:
      _restore(folder)  # TFDS cannot continue a build that was killed
    builder = make_builder()
    if is_complete(folder) and not overwrite:
      _check_same_settings(folder, builder)
      return False
    builder.num_views()  # opens the source, and raises if files are missing
    if is_complete(folder):
      folder.rename(_kept(folder))
    _remove(folder)
    try:
      _build(builder)
    except BaseException as e:
      _restore(folder)
      if not is_full_disk(e):
        raise
      raise UserError(
        f"the disk of {folder} is full: free some space or choose another"
        " --data_dir. Nothing is left of the unfinished data set; an old one is"
        " kept."
      ) from e
    shutil.rmtree(_kept(folder), ignore_errors=True)
  return True


def _kept(folder: pathlib.Path) -> pathlib.Path:
  """Returns where a complete data set waits until the new one is complete."""
  return folder.with_name(f".old_{folder.name}")


def _restore(folder: pathlib.Path) -> None:
  """Removes an unfinished data set and puts back an old one, if any."""
  _remove(folder)
  if _kept(folder).exists():
    _kept(folder).rename(folder)


def is_complete(folder: pathlib.Path) -> bool:
  return (folder / OBJECTS_FILE).is_file()


def _build(builder: ViewBuilder) -> None:
  # Our progress bars replace those of TFDS and what it prints on stdout.
  tfds.disable_progress_bar()
  with contextlib.redirect_stdout(io.StringIO()):
    builder.download_and_prepare(
      # By default TFDS looks for a copy of the data set in the cloud.
      download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )


@contextlib.contextmanager
def _lock(folder: pathlib.Path):
  """Locks the data set for one process. The lock ends with that process."""
  try:
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = open(folder.parent / f".{folder.name}.lock", "w")
  except OSError as e:
    raise UserError(
      f"cannot write to {folder.parent} ({e.strerror}): choose another"
      " --data_dir."
    ) from e
  with lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
      raise UserError(
        f"another process is building {folder}: wait for it, or choose"
        " another --data_dir."
      ) from e
    yield


def _check_same_settings(folder: pathlib.Path, builder: ViewBuilder) -> None:
  """Raises a UserError if the data set was built with other settings."""
  metadata = folder / "metadata.json"
  stored = json.loads(metadata.read_text()) if metadata.is_file() else {}
  differ = [
    f"{k} is {stored.get(k)!r} there and {v!r} here"
    for k, v in builder.settings.items()
    if stored.get(k) != v
  ]
  if differ:
    raise UserError(
      f"{folder} holds a data set with other settings ({'; '.join(differ)}):"
      " replace it with --overwrite, or choose another --data_dir."
    )


def _remove(folder: pathlib.Path) -> None:
  """Removes a data set and the temporary folders of killed builds."""
  for path in folder.parent.glob(f"incomplete.*_{folder.name}"):
    shutil.rmtree(path)  # TFDS builds in a folder of this name
  if folder.exists():
    shutil.rmtree(folder)
