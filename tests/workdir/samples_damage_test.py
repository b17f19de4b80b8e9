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


def removed(name):
  return lambda folder: (folder / name).unlink()


def replaced(name, data: bytes):
  return lambda folder: (folder / name).write_bytes(data)


def with_entry(key, value):
  """Changes an entry of input.json."""

  def change(folder):
    path = folder / "input.json"
    info = json.loads(path.read_text()) | {key: value}
    path.write_text(json.dumps(info))

  return change


def with_array(key, value):
  """Changes an array of cameras.npz; None removes it."""

  def change(folder):
    path = folder / "cameras.npz"
    with np.load(path, allow_pickle=False) as npz:
      arrays = dict(npz) | {key: value}
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})

  return change


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (removed("input.json"), "no input.json"),
    (replaced("input.json", b"{"), "input.json is not valid JSON"),
    (with_entry("complete", False), 'does not say "complete"'),
    (with_entry("object_id", "chair_1"), "chair_1.*chair_0"),
    (removed("001.png"), "001.png is missing"),
    (removed("input_000.png"), "input_000.png is missing"),
    (removed("truth_002.png"), "truth_002.png is missing"),
    (replaced("003.png", PNG), "4 pictures .* 3 cameras"),
    (replaced("000.png", b"\xff\xd8\xff\xe0 a JPEG"), "000.png is not a PNG"),
    (replaced("002.png", SMALL_PNG), "002.png is 8x4 pixels.*8x8"),
    (removed("cameras.npz"), "cameras.npz is missing"),
    (replaced("cameras.npz", b"PK\3\4 broken"), "npz is not a readable"),
    (replaced("cameras.npz", ONE_ARRAY.getvalue()), "npz is not a readable"),
    (with_array("K", None), "cameras.npz is not a readable .npz file.*K"),
    (with_array("view", np.zeros(0, int)), "arrays of the shapes"),
    (with_array("world_from_cam", POSES[:1]), r"shapes .*\(1, 4, 4\)"),
    (with_array("world_from_cam", POSES * np.nan), "not finite"),
    (with_array("world_from_cam", SHEARED), "rigid"),
    (with_array("hw", np.array([8])), "cameras.npz has arrays of the shapes"),
  ],
)
def test_damage_is_named(folder, change, message):
  change(folder)
  with pytest.raises(UserError, match=message) as error:
    samples.read_sample(folder)
  assert str(folder) in str(error.value)


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
    with_array("view", np.array([planted, 1, 2], object))(folder)
  else:
    (folder / "cameras.npz").write_bytes(pickle.dumps(planted))
  with pytest.raises(UserError, match="cameras.npz is not a readable"):
    samples.read_sample(folder)
  assert not (tmp_path / "planted").exists()
