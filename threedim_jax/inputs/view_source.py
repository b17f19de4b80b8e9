# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads views of a built data set, in any order, as NumPy arrays.

`datasets/build.py` writes a data set to <data_dir>/<name>/<config>/<version>.
The array_record files in this folder hold one record per view, object after
object. `objects.json` lists each object's first record and number of views.
Reading a data set needs neither TensorFlow nor the code that built it.

  views = open_views(data_dir=None, name="shapes", config="32", split="test")
  views.object("chair_0003", views=[0, 5]).images_u8  # uint8 [2, 32, 32, 3]
"""

from collections.abc import Sequence
import difflib
import json
import os
import re
import shlex
from typing import Any

import cv2
from etils import epath
from ml_collections import ConfigDict
import numpy as np
import tensorflow_datasets as tfds

from threedim_jax.runtime.errors import UserError, first_line
from threedim_jax.views.posed_views import PosedViews

INDEX_FILE = "objects.json"  # written last; missing if a build was cut short
CACHE_BYTES = 1 << 30  # a split that decodes to less is kept in memory

# Several threads call OpenCV. Threads inside OpenCV would slow them down.
cv2.setNumThreads(0)

# One view as it is stored: picture, world_from_cam and K.
Record = tuple[np.ndarray, np.ndarray, np.ndarray]


def default_data_dir(data_dir: str | os.PathLike | None) -> epath.Path:
  """Returns the root folder of all data sets.

  This is `data_dir` if given, or else $TFDS_DATA_DIR or ~/tensorflow_datasets.
  """
  chosen = data_dir or os.environ.get("TFDS_DATA_DIR")
  return epath.Path(chosen or "~/tensorflow_datasets").expanduser()


def open_views(
  data_dir: str | os.PathLike | None,
  name: str,
  config: str,
  split: str,
  *,
  resolution: int | None = None,
) -> "Views":
  """Opens the newest version of a built data set, without reading pictures yet.

  Args:
    data_dir: root folder of all data sets; None uses `default_data_dir`.
    name: name of the data set, such as "shapes".
    config: name of the data set's configuration, such as "32".
    split: "train", "validation" or "test".
    resolution: height and width that the pictures must have, in pixels; None
      accepts any.

  Raises:
    UserError: the data set is missing or only partly built, its pictures have
      another resolution, it has no such split, or an object has fewer than two
      views.
  """
  root = default_data_dir(data_dir)
  build = f"{_build_command(name, config)} --data_dir {shlex.quote(str(root))}"
  folder = _newest_version(root / name / config, build)
  again = f"Build it again: {build} --overwrite"
  try:
    index = json.loads((folder / INDEX_FILE).read_text())
    builder = tfds.builder_from_directory(folder)
    hw = builder.info.features["image"].shape[:2]
    paths = {name: info.filepaths for name, info in builder.info.splits.items()}
  # TFDS raises many types of errors for damaged files.
  except Exception as e:
    raise UserError(
      f"{folder} is only partly built ({first_line(e)}). {again}"
    ) from e
  _check_format(folder, index, again)
  if split not in index or split not in paths:
    known = ", ".join(index)
    raise UserError(f"{folder} has no split '{split}'; it has {known}.")
  missing = [path for path in paths[split] if not path.exists()]
  if missing:
    raise UserError(f"{folder} is only partly built: no {missing[0]}. {again}")
  if resolution is not None and hw != (resolution, resolution):
    raise UserError(
      f"{folder} holds pictures of {hw[0]}x{hw[1]} pixels, but the"
      f" configuration asks for a resolution of {resolution}. Name the data"
      " set's configuration of that resolution, or set the resolution to"
      f" {hw[0]}."
    )
  return Views(builder, split, index[split], again)


def _check_format(folder: epath.Path, index: Any, again: str) -> None:
  """Raises a UserError if the content of objects.json has the wrong form.

  Args:
    index: content of objects.json, which should be {split: [[object id, first
      record, number of views]]}.
    again: sentence that tells the user how to build the data set again.
  """

  def is_row(row: Any) -> bool:
    return (
      isinstance(row, list)
      and [type(value) for value in row] == [str, int, int]
      and all(0 <= number < 2**31 for number in row[1:])
    )

  if not isinstance(index, dict) or not all(
    isinstance(rows, list) and all(map(is_row, rows)) for rows in index.values()
  ):
    raise UserError(
      f"{folder / INDEX_FILE} does not list objects as [id, first record,"
      f" number of views]. {again}"
    )


def open_split(config: ConfigDict, split: str) -> "Views":
  """Opens a split of the data set that a run's `config.data` names.

  `split` and the errors are those of `open_views`.
  """
  data = config.data
  return open_views(
    data.data_dir, data.name, data.config, split, resolution=data.resolution
  )


def _build_command(name: str, config: str) -> str:
  """Returns the command that builds a data set, for error messages.

  If the package was installed from a wheel, there is no datasets/build.py. Then
  the text also says to run the command in a clone of the repository.
  """
  script = epath.resource_path("threedim_jax").parent / "datasets/build.py"
  where = "" if script.exists() else "in a clone of the repository, "
  build = f"{where}python datasets/build.py"
  named = re.fullmatch(r"(.+?)_((many_)?\d+|debug)", config)
  if name != "meshes" or named is None:
    return f"{build} {name} --config {config}"
  return (
    f"{build} meshes --from FOLDER_OF_MESHES"
    f" --name {shlex.quote(named[1])} --config {named[2]}"
  )


def _newest_version(folder: epath.Path, build: str) -> epath.Path:
  """Returns the folder of a data set's newest version.

  Args:
    folder: folder that holds one subfolder per version.
    build: command that builds the data set, for error messages.

  Raises:
    UserError: the folder holds no finished version.
  """
  names = [p.name for p in folder.iterdir()] if folder.exists() else []
  versions = [n for n in names if re.fullmatch(r"\d+\.\d+\.\d+", n)]
  if versions:
    return folder / max(versions, key=lambda v: [*map(int, v.split("."))])
  # A build renames its folder at the end.
  if any(n.startswith("incomplete.") for n in names):
    raise UserError(
      f"{folder} is only partly built: a build was cut short there. Build it"
      f" again: {build} --overwrite"
    )
  raise UserError(f"There is no data set in {folder}. Build it: {build}")


class Views:
  """The views in one split of a data set, readable in any order.

  `open_views` makes instances of this class. Several threads may share one
  instance. Files are opened at the first read.
  """

  def __init__(
    self,
    builder: tfds.core.DatasetBuilder,
    split: str,
    objects: Sequence[tuple[str, int, int] | list],
    again: str,
  ):
    """Do not call this constructor; use `open_views`.

    Args:
      objects: (id, first record, number of views) of each object.
      again: sentence that tells the user how to build the data set again.
    """
    self.split = split
    self.object_ids = [object_id for object_id, _, _ in objects]
    self.starts = np.array([start for _, start, _ in objects], np.int64)
    self.counts = np.array([count for _, _, count in objects], np.int64)
    self._shape = builder.info.features["image"].shape
    self.resolution = self._shape[0]
    self._again = again
    self._index_of = {key: i for i, key in enumerate(self.object_ids)}
    self._source = builder.as_data_source(
      split, decoders={"image": tfds.decode.SkipDecoding()}
    )
    self._check_index()
    fits = len(self) * np.prod(self._shape) <= CACHE_BYTES
    self._cache: dict[int, Record] | None = {} if fits else None

  def _check_index(self) -> None:
    ends = np.cumsum(self.counts)
    if (
      len(self) != len(self._source)
      or not np.array_equal(self.starts, ends - self.counts)
      or len(self._index_of) != len(self.object_ids)
    ):
      raise UserError(
        f"{INDEX_FILE} does not fit the {len(self._source)} records of the"
        f" split '{self.split}'. {self._again}"
      )
    few = np.flatnonzero(self.counts < 2)
    if few.size:
      raise UserError(
        f"Object '{self.object_ids[few[0]]}' of the split '{self.split}' has"
        f" {self.counts[few[0]]} view(s), and {few.size} object(s) in all"
        " have fewer than the two that a pair takes. Add views or leave"
        f" these objects out. {self._again}"
      )

  def __len__(self) -> int:
    """Returns the number of records: one per view, over all objects."""
    return int(self.counts.sum())

  def object_of(self, record: int) -> int:
    """Returns the index in `object_ids` of the object that a record shows."""
    return int(np.searchsorted(self.starts, record, side="right")) - 1

  def num_views(self, object_id: str) -> int:
    """Returns the number of views of an object."""
    return int(self.counts[self._object_index(object_id)])

  def object(
    self, object_id: str, views: Sequence[int], *, checked: bool = True
  ) -> PosedViews:
    """Reads some views of one object.

    Args:
      views: numbers of the views to read, counted from 0.
      checked: whether to check that the cameras are valid, see `PosedViews`.

    Raises:
      UserError: there is no such object or view, or a view is damaged.
    """
    arrays = self.gather([self._record(object_id, view) for view in views])
    return PosedViews(*arrays, np.int32(views), object_id, checked)

  def gather(self, records: Sequence[int] | np.ndarray) -> Record:
    """Reads several records, given by number, and stacks their arrays.

    Returns:
      (pictures [N, H, W, 3], world_from_cam [N, 4, 4], K [N, 3, 3]).

    Raises:
      UserError: a record is damaged.
    """
    views = [self.read(int(record)) for record in records]
    return tuple(map(np.stack, zip(*views, strict=True)))

  def read(self, record: int) -> Record:
    """Reads one record: a picture, its world_from_cam and its K.

    The returned arrays are read-only.

    Raises:
      UserError: the record is damaged; the message names the object and the
        view.
    """
    if self._cache is None:
      return self._decode(record)
    if record not in self._cache:
      self._cache[record] = self._decode(record)
    return self._cache[record]

  def _decode(self, record: int) -> Record:
    index = self.object_of(record)
    object_id, view = self.object_ids[index], record - int(self.starts[index])
    try:
      stored = self._source[record]
      image = cv2.imdecode(
        np.frombuffer(stored["image"], np.uint8), cv2.IMREAD_COLOR
      )
      found = stored["object_id"].decode(), int(stored["view"])
      pose, K = stored["world_from_cam"], stored["K"]
      is_finite = np.isfinite(pose).all() and np.isfinite(K).all()
    # The type of the error depends on where the record is damaged.
    except Exception as e:
      raise self._damaged(object_id, view, first_line(e)) from e
    if found != (object_id, view):
      raise self._damaged(object_id, view, f"the record is of {found}")
    if image is None or image.shape != self._shape:
      raise self._damaged(object_id, view, "its picture does not decode")
    if not is_finite or (pose.shape, K.shape) != ((4, 4), (3, 3)):
      raise self._damaged(object_id, view, "its camera is not made of numbers")
    arrays = cv2.cvtColor(image, cv2.COLOR_BGR2RGB), pose, K
    for array in arrays:
      array.setflags(write=False)
    return arrays

  def _damaged(self, object_id: str, view: int, why: str) -> UserError:
    return UserError(
      f"View {view} of object '{object_id}' in the split '{self.split}' is"
      f" damaged ({why}). {self._again}"
    )

  def _object_index(self, object_id: str) -> int:
    if object_id not in self._index_of:
      near = difflib.get_close_matches(object_id, self.object_ids, 3, 0.0)
      raise UserError(
        f"The split '{self.split}' has no object '{object_id}'. The nearest"
        f" of its {len(self.object_ids)} names: {', '.join(near)}."
      )
    return self._index_of[object_id]

  def _record(self, object_id: str, view: int) -> int:
    index = self._object_index(object_id)
    if not 0 <= view < self.counts[index]:
      raise UserError(
        f"Object '{object_id}' has no view {view}: it has"
        f" {self.counts[index]} views, counted from 0."
      )
    return int(self.starts[index] + view)
