# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of samples that are damaged, or meant to do harm."""

import io
import json
import pickle

from fake_run import fake_sample
import numpy as np
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.views.png import encode_png
from threedim_jax.workdir import samples


@pytest.fixture
def folder(tmp_path):
  return samples.write_sample(tmp_path, fake_sample(num_views=4, resolution=8))


PNG = encode_png(np.full((8, 8, 3), 7, np.uint8))
SMALL_PNG = encode_png(np.zeros((4, 8, 3), np.uint8))
POSES = np.tile(np.eye(4, dtype=np.float32), (3, 1, 1))
SHEARED = POSES.copy()
SHEARED[1, 0, 1] = 0.5
ONE_ARRAY = io.BytesIO()
np.save(ONE_ARRAY, POSES)


def assert_refused(folder, message: str) -> None:
  with pytest.raises(UserError, match=message) as error:
    samples.read_sample(folder)
  assert str(folder) in str(error.value)


@pytest.mark.parametrize(
  ("name", "data", "message"),
  [
    ("input.json", None, "no input.json"),
    ("input.json", b"{", "input.json is not valid JSON"),
    ("001.png", None, "001.png is missing"),
    ("input_000.png", None, "input_000.png is missing"),
    ("truth_002.png", None, "truth_002.png is missing"),
    ("003.png", PNG, "4 pictures .* 3 cameras"),
    ("000.png", b"\xff\xd8\xff\xe0 a JPEG", "000.png is not a PNG"),
    ("002.png", SMALL_PNG, "002.png is 8x4 pixels.*8x8"),
    ("cameras.npz", None, "cameras.npz is missing"),
    ("cameras.npz", b"PK\3\4 broken", "cameras.npz is not a readable"),
    ("cameras.npz", ONE_ARRAY.getvalue(), "cameras.npz is not a readable"),
  ],
)
def test_a_missing_or_broken_file_is_named(folder, name, data, message):
  if data is None:
    (folder / name).unlink()
  else:
    (folder / name).write_bytes(data)
  assert_refused(folder, message)


@pytest.mark.parametrize(
  ("key", "value", "message"),
  [
    ("complete", False, 'does not say "complete"'),
    ("object_id", "chair_1", "chair_1.*chair_0"),
  ],
)
def test_a_wrong_entry_of_input_json_is_named(folder, key, value, message):
  path = folder / "input.json"
  info = json.loads(path.read_text()) | {key: value}
  path.write_text(json.dumps(info))
  assert_refused(folder, message)


def edit_cameras(folder, key, value) -> None:
  path = folder / "cameras.npz"
  with np.load(path, allow_pickle=False) as npz:
    arrays = dict(npz) | {key: value}
  np.savez(path, **{k: v for k, v in arrays.items() if v is not None})


def test_damage_anywhere_in_compressed_cameras_is_told(folder):
  path = folder / "cameras.npz"
  with np.load(path) as npz:
    np.savez_compressed(path, **npz)
  whole = path.read_bytes()
  told = 0
  for i in range(len(whole)):  # a bit of the compression method, sizes, data...
    path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x11]) + whole[i + 1 :])
    try:
      samples.read_sample(folder)
    except UserError as e:
      told += str(path) in str(e)
  assert told > len(whole) / 2


@pytest.mark.parametrize(
  ("key", "value", "message"),
  [
    ("K", None, "cameras.npz is not a readable .npz file.*K"),
    ("view", np.zeros(0, int), "arrays of the shapes"),
    ("world_from_cam", POSES[:1], r"shapes .*\(1, 4, 4\)"),
    ("world_from_cam", POSES * np.nan, "not finite"),
    ("world_from_cam", SHEARED, "rigid"),
    ("hw", np.array([8]), "cameras.npz has arrays of the shapes"),
  ],
)
def test_a_wrong_array_of_cameras_is_named(folder, key, value, message):
  edit_cameras(folder, key, value)
  assert_refused(folder, message)


class _Touch:
  """Creates a file when it is unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return (open, (self.path, "w"))


@pytest.mark.parametrize("wrapped", [True, False])
def test_nothing_is_unpickled(folder, tmp_path, wrapped):
  planted = _Touch(str(tmp_path / "planted"))
  if wrapped:
    edit_cameras(folder, "view", np.array([planted, 1, 2], object))
  else:
    (folder / "cameras.npz").write_bytes(pickle.dumps(planted))
  with pytest.raises(UserError, match="cameras.npz is not a readable"):
    samples.read_sample(folder)
  assert not (tmp_path / "planted").exists()
