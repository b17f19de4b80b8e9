# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Opening a data set: every view is right, every fault has a clear error."""

from concurrent import futures
import json
import pathlib
import re

import numpy as np
import pytest
import tiny_dataset

from threedim_jax.inputs import view_source
from threedim_jax.runtime.errors import UserError

RESOLUTION = 8
COUNTS = (4, 2, 5)
RECORDS = [(o, v) for o, count in enumerate(COUNTS) for v in range(count)]


def write(data_dir, **options):
  settings = {"num_objects": 3, "num_views": COUNTS, "resolution": RESOLUTION}
  return tiny_dataset.write_tiny_dataset(data_dir, **(settings | options))


def open_split(data_dir, split="train", config=str(RESOLUTION), **options):
  return view_source.open_views(
    data_dir, tiny_dataset.NAME, config, split, **options
  )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("data")
  write(folder)
  return folder


def read(views, obj, view):
  """The record of one view of an object, which is given by its number."""
  return views.read(int(views.starts[obj]) + view)


def assert_view(view, obj, index, split="train"):
  """`view` is exactly what the data set was made of."""
  pose, K = tiny_dataset.camera(obj, index, COUNTS[obj], RESOLUTION)
  picture = tiny_dataset.picture(split, obj, index, RESOLUTION)
  for found, expected in zip(view, (picture, pose, K), strict=True):
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
@pytest.mark.parametrize("split", tiny_dataset.SPLITS)
def test_every_view_of_every_object(data_dir, split, cache_bytes, monkeypatch):
  monkeypatch.setattr(view_source, "CACHE_BYTES", cache_bytes)
  views = open_split(data_dir, split)
  assert views.object_ids == [f"{split}_{o:03d}" for o in range(3)]
  assert views.resolution == RESOLUTION
  assert len(views) == len(RECORDS)
  for _ in range(2):  # once from the file, once from the cache
    for record, (obj, view) in enumerate(RECORDS):
      assert views.object_of(record) == obj
      assert views.num_views(views.object_ids[obj]) == COUNTS[obj]
      assert_view(read(views, obj, view), obj, view, split)


def test_views_of_an_object_are_stacked(data_dir):
  views = open_split(data_dir)
  stacked = views.object("train_002", views=[4, 0])
  assert stacked.index.tolist() == [4, 0] and stacked.name == "train_002"
  arrays = stacked.images_u8, stacked.world_from_cam, stacked.K
  for row, view in enumerate((4, 0)):
    assert_view([array[row] for array in arrays], 2, view)


def test_a_view_cannot_be_overwritten(data_dir):
  with pytest.raises(ValueError, match="read-only"):
    open_split(data_dir).read(0)[0][:] = 0


def test_threads_read_the_same(data_dir):
  views = open_split(data_dir)
  with futures.ThreadPoolExecutor(8) as pool:
    found = pool.map(lambda record: read(views, *record), RECORDS * 5)
    for (obj, view), got in zip(RECORDS * 5, found, strict=True):
      assert_view(got, obj, view)


def test_default_data_dir(monkeypatch, tmp_path):
  monkeypatch.setenv("HOME", str(tmp_path))
  monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
  in_home = tmp_path / "tensorflow_datasets"
  assert view_source.default_data_dir(None) == in_home
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "env"))
  assert view_source.default_data_dir(None) == tmp_path / "env"
  assert view_source.default_data_dir("/given") == pathlib.Path("/given")


def test_missing_data_set_prints_the_build_command(tmp_path):
  folder = tmp_path / "my data"
  (folder / "shapes" / "32").mkdir(parents=True)
  (folder / "shapes" / "32" / ".1.0.0.lock").touch()  # not yet a build
  with pytest.raises(UserError) as error:
    view_source.open_views(folder, "shapes", "32", "train")
  assert str(error.value).endswith(
    f"python datasets/build.py shapes --config 32 --data_dir '{folder}'"
  )


def cut_in_half(path):
  path.write_bytes(path.read_bytes()[: path.stat().length // 2])


def edited(file, **values):
  """A function that changes values of a JSON file of a data set."""

  def edit(folder):
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))

  return edit


DAMAGE = {
  "half an info": lambda folder: cut_in_half(folder / "dataset_info.json"),
  "half the features": lambda folder: cut_in_half(folder / "features.json"),
  "no features": edited("features.json", featuresDict={"features": {}}),
  "no such format": edited("dataset_info.json", fileFormat="rar"),
  "splits of nothing": edited("dataset_info.json", splits=[{}]),
  "no index": lambda folder: (folder / "objects.json").unlink(),
  "half an index": lambda folder: cut_in_half(folder / "objects.json"),
  "no info": lambda folder: (folder / "dataset_info.json").unlink(),
  "no shard": lambda folder: (
    folder / "tiny-train.array_record-00000-of-00001"
  ).unlink(),
  "unfinished": lambda folder: folder.rename(
    folder.parent / "incomplete.ABC123_1.0.0"
  ),
  "1.10.0 is": lambda folder: [
    (folder.parent / version).mkdir() for version in ("1.9.0", "1.10.0")
  ],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_partly_built_data_set_is_refused(tmp_path, damage):
  DAMAGE[damage](write(tmp_path))
  with pytest.raises(UserError, match="only partly built") as error:
    open_split(tmp_path)
  assert str(error.value).endswith(
    f"python datasets/build.py tiny --config 8 --data_dir {tmp_path}"
    " --overwrite"
  )
  assert damage != "1.10.0 is" or damage in str(error.value)


NAMES = [["train_000", 0, 4], ["train_001", 4, 2], ["train_002", 6, 5]]


@pytest.mark.parametrize(
  "changed, message",
  [
    ({2: None}, "does not fit the 11 records"),
    ({1: ["train_001", 5, 2]}, "does not fit the 11 records"),
    ({1: ["train_000", 4, 2]}, "does not fit the 11 records"),
    ({2: ["train_002", 6, 2**70]}, "does not list objects as"),
    ({2: ["train_002", 6, 5.0]}, "does not list objects as"),
    ({1: ["train_001", 4]}, "does not list objects as"),
    ({2: [["train_002"], 6, 5]}, "does not list objects as"),
    ({1: ["someone", 4, 2]}, "'train_001', 0"),  # at the first read
  ],
)
def test_index_that_does_not_fit_is_refused(tmp_path, changed, message):
  rows = [changed.get(i, row) for i, row in enumerate(NAMES)]
  index = {"train": [row for row in rows if row is not None]}
  (write(tmp_path) / "objects.json").write_text(json.dumps(index))
  with pytest.raises(UserError, match=message):
    read(open_split(tmp_path), 1, 0)


@pytest.mark.parametrize("rows", [{"train_000": [0, 4]}, None])
def test_index_that_is_no_list_is_refused(tmp_path, rows):
  (write(tmp_path) / "objects.json").write_text(json.dumps({"train": rows}))
  with pytest.raises(UserError, match="does not list objects as"):
    read(open_split(tmp_path), 1, 0)


def test_fewer_than_two_views_is_refused(tmp_path):
  write(tmp_path, num_views=(3, 1, 2))
  with pytest.raises(UserError, match=r"'train_001'.* has 1 view"):
    open_split(tmp_path)


def test_other_resolution_is_refused(data_dir):
  assert open_split(data_dir, resolution=RESOLUTION).resolution == RESOLUTION
  with pytest.raises(UserError, match="8x8 pixels.* resolution of 16"):
    open_split(data_dir, resolution=16)


def test_unknown_names_and_numbers(data_dir):
  with pytest.raises(UserError, match="no split 'val'.* train, validation"):
    open_split(data_dir, "val")
  views = open_split(data_dir)
  with pytest.raises(UserError, match="nearest.*: train_002, "):
    views.object("trian_002", [0])
  for view in (-1, 2):
    with pytest.raises(UserError, match="'train_001' has no view"):
      views.object("train_001", [view])


@pytest.mark.parametrize("position", [700, 2000, 3300])
def test_flipped_byte_in_a_file_is_named(tmp_path, position):
  folder = write(tmp_path)
  (shard,) = folder.glob("tiny-train.array_record*")
  data = bytearray(shard.read_bytes())
  # Where a record lies differs from run to run: TFDS writes its fields in the
  # order of a hash, then compresses them. Some record has this byte.
  data[position] ^= 255
  shard.write_bytes(data)
  views, errors = open_split(tmp_path), []
  for obj, view in RECORDS:
    try:
      assert_view(read(views, obj, view), obj, view)
    except UserError as e:
      errors.append(str(e))
      named = f"View {view} of object 'train_{obj:03d}'.*hash"
  assert len(errors) == 1
  assert re.match(named, errors[0])


def change_record(folder, change):
  """Rewrites the first record of the training data with a right checksum."""
  from array_record.python import array_record_module

  (shard,) = folder.glob("tiny-train.array_record*")
  first, *rest = array_record_module.ArrayRecordReader(str(shard)).read_all()
  writer = array_record_module.ArrayRecordWriter(str(shard), "group_size:1")
  for record in (change(first), *rest):
    writer.write(record)
  writer.close()


NAN = np.full(4, np.nan, np.float32).tobytes()
ROW = np.float32([0, 0, 0, 1]).tobytes()  # the last one of a pose


@pytest.mark.parametrize(
  "change, message",
  [
    (lambda record: record[:-3], ""),
    (lambda record: b"", ""),
    (lambda record: record.replace(b"world_from_cam", b"world_from_cat"), ""),
    (lambda record: record.replace(ROW, NAN), "camera is not made of numbers"),
  ],
)
def test_a_record_that_was_damaged_before_it_was_written(
  tmp_path, change, message
):
  folder = write(tmp_path)
  change_record(folder, change)
  with pytest.raises(
    UserError, match=f"View 0 of object 'train_000'.*{message}"
  ):
    read(open_split(tmp_path), 0, 0)
