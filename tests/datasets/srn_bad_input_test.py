# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Faulty SRN archives: the message names the file, nothing half-built stays."""

import errno
import json
import os
import pathlib
import zipfile

import build
import numpy as np
import pytest
from srn.archive import open_archive
from tiny_srn import car_files, picture, read_all, stored_png, write_zip

from threedim_jax.inputs.posed_images.text_files import format_pose
from threedim_jax.runtime.errors import UserError

ROTTEN = format_pose(np.diag([1, 1, 1.1, 1])).encode()
RGB, POSE = "cars_test/c2/rgb/000001.png", "cars_test/c2/pose/000001.txt"
FLIPPED = bytearray(stored_png(picture(0)))
FLIPPED[200] ^= 1
K_FILE = "cars_test/c2/intrinsics.txt"


@pytest.mark.parametrize(
  "name, data, message",
  [
    (POSE, None, r"c2: view 000001 has a file in rgb/ but none in pose/"),
    (RGB, None, r"c2: view 000001 has a file in pose/ but none in rgb/"),
    (K_FILE, None, r"c2/intrinsics.txt is missing"),
    (RGB, b"not a picture", r"rgb/000001.png does not decode"),
    (RGB, stored_png(picture(0))[:-30], r"rgb/000001.png does not decode"),
    (RGB, bytes(FLIPPED), r"rgb/000001.png does not decode"),
    (RGB, stored_png(picture(0, 8)), r"000001.png has 8 x 8 .* for 16 x 16"),
    (POSE, ROTTEN, r"pose/000001.txt is not a rigid transform"),
    (POSE, b"1 0 0 0 0 1 0 0", r"pose/000001.txt holds 8 numbers"),
    (K_FILE, b"1.6 8 8 0.\n16 16", r"focal length of 1.6 pixels does not fit"),
    (K_FILE, b"131 64 64 0.\n128 128", r"16 x 16 .* intrinsics.txt is for 128"),
    (K_FILE, b"8 4 4 0.\n8 8", r"8 x 8 pixels; this config needs"),
    (K_FILE, b"", r"must start with a line 'f cx cy 0.'"),
  ],
)
def test_a_bad_file_is_named(tmp_path, name, data, message):
  files = car_files()
  del files[name]
  if data is not None:
    files[name] = data
  write_zip(tmp_path / "srn_cars.zip", files)
  with pytest.raises(UserError, match=message) as e:
    read_all(tmp_path, "test")
  assert "srn_cars.zip:cars_test/c2" in str(e.value)


def test_one_view_is_too_few(tmp_path):
  write_zip(tmp_path / "srn_cars.zip", car_files(num_views=1))
  with pytest.raises(UserError, match="has 1 view"):
    read_all(tmp_path)


def test_a_flipped_byte_inside_the_zip_is_noticed(tmp_path):
  path = tmp_path / "srn_cars.zip"
  with zipfile.ZipFile(path, "w") as z:  # stored, so that we find the bytes
    for name, data in car_files().items():
      z.writestr(name, data)
  damaged = bytearray(path.read_bytes())
  damaged[damaged.index(b"IDAT") + 20] ^= 1
  path.write_bytes(damaged)
  with pytest.raises(UserError, match="rgb/000000.png cannot be read .*CRC"):
    read_all(tmp_path)


def test_a_damaged_lzma_member_is_named(tmp_path):
  path = tmp_path / "srn_cars.zip"
  with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as z:
    for name, data in car_files().items():
      z.writestr(name, data)
  damaged = bytearray(path.read_bytes())
  place = damaged.index(b"cars_test/c2/intrinsics.txt")
  damaged[place + 40 : place + 52] = bytes([255] * 12)
  path.write_bytes(damaged)
  with pytest.raises(UserError, match="c2/intrinsics.txt cannot be read .Corr"):
    read_all(tmp_path, "test")


def test_a_zip_bomb_is_not_unpacked(tmp_path):
  files = car_files() | {K_FILE: bytes(70_000_000)}
  write_zip(tmp_path / "srn_cars.zip", files)
  with pytest.raises(UserError, match="c2/intrinsics.txt .*take 70 MB unpack"):
    read_all(tmp_path, "test")


def test_a_truncated_zip(tmp_path):
  path = tmp_path / "srn_cars.zip"
  write_zip(path, car_files())
  path.write_bytes(path.read_bytes()[:-500])
  with pytest.raises(UserError, match="srn_cars.zip is not a complete zip"):
    open_archive("cars", tmp_path)


def test_the_other_car_archive_is_told_apart(tmp_path):
  files = {
    f"cars_train/a/{folder}/{v:06d}.{ending}": b""
    for folder, ending in (
      ("rgb", "png"),
      ("pose", "txt"),
      ("intrinsics", "txt"),
    )
    for v in range(3)
  }
  write_zip(tmp_path / "cars_train.zip", files)
  with pytest.raises(UserError, match="other archive .* use srn_cars.zip"):
    open_archive("cars", tmp_path)


def test_wrong_and_missing_archives(tmp_path):
  with pytest.raises(UserError, match=r"no srn_cars.zip .* pixelNeRF"):
    open_archive("cars", tmp_path)
  write_zip(tmp_path / "srn_chairs.zip", car_files())
  with pytest.raises(UserError, match="another archive than srn_chairs.zip"):
    open_archive("chairs", tmp_path)


@pytest.mark.parametrize(
  "name",
  [
    "../cars_test/x/rgb/000000.png",
    "/cars_test/x/rgb/000000.png",
    "cars_test/../../x/rgb/000000.png",
    "C:/cars_test/rgb/000000.png",
  ],
)
def test_paths_that_would_leave_the_folder_are_refused(tmp_path, name):
  write_zip(tmp_path / "srn_cars.zip", car_files() | {name: b""})
  with pytest.raises(UserError, match="unsafe path"):
    open_archive("cars", tmp_path)


def test_object_ids_must_be_file_names(tmp_path):
  bad = {"cars_test/a b/intrinsics.txt": b""}
  write_zip(tmp_path / "srn_cars.zip", car_files() | bad)
  with pytest.raises(UserError, match="a b: every object"):
    open_archive("cars", tmp_path)


@pytest.fixture
def damaged(tmp_path) -> tuple[list[str], pathlib.Path]:
  """Arguments that build an archive with one bad object; its folder."""
  files = car_files()
  files["cars_train/a0/rgb/000000.png"] = b"junk"
  write_zip(tmp_path / "srn_cars.zip", files)
  args = f"srn --config cars_16 --num_workers 1 --data_dir {tmp_path}"
  folder = tmp_path / "srn" / "cars_16"
  return [*args.split(), "--manual_dir", str(tmp_path)], folder


def test_skip_bad_lists_and_leaves_out(damaged, tmp_path, capsys):
  args, _ = damaged
  folder = build.main([*args, "--skip_bad"])
  index = json.loads((folder / "objects.json").read_text())
  assert index == {"train": [["b1", 0, 3]], "test": [["c2", 0, 3]]}
  assert json.loads((folder / "metadata.json").read_text())["skipped"] == ["a0"]
  err = capsys.readouterr().err
  assert "skipped: " in err and "cars_train/a0/rgb/000000.png" in err
  # A subset: said, not refused.
  assert (
    "train has 2 objects with 3 views; the complete archive has 2458" in err
  )
  assert "9/9 (100%)" in err  # the views that were left out count as done
  (tmp_path / "srn_cars.zip").unlink()
  with pytest.raises(UserError, match="no srn_cars.zip"):
    build.main([*args, "--overwrite"])
  assert (folder / "objects.json").exists()


@pytest.mark.parametrize(
  "error",
  [
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    RuntimeError("INTERNAL: write: No space left on device"),
  ],
)
def test_a_disk_that_fills_up_leaves_nothing(damaged, monkeypatch, error):
  args, folder = damaged

  def write(self, record):
    raise error

  monkeypatch.setattr("record_writer.RecordWriter.write", write)
  with pytest.raises(UserError, match="is full"):
    build.main([*args, "--skip_bad"])
  assert not list(folder.glob("1.0.0*"))
