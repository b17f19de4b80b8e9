# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""--mode=check_data on built data and on folders: verdicts, pictures, JSON."""

import dataclasses
import json

import build
from etils import epath
import numpy as np
from PIL import Image
from posed_folders import (
  CV_FROM_GL,
  render,
  srn_intrinsics,
  write_pose_folder,
)
import pytest

from threedim_jax.inputs.camera_check.checks import check_test_range
from threedim_jax.modes import check_data
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

SIDE, VIEWS = 32, 16
POSES = camera_paths.random_views(np.random.default_rng(0), VIEWS, 2.0)
K = camera_paths.default_K(SIDE)
NAMES = [f"{i:06d}" for i in range(VIEWS)]
FILES = ("contact_sheet.png", "check_data.json")


def assert_written(out, verdict: str) -> dict:
  """Whatever the verdict, there is something to look at."""
  assert sorted(p.name for p in out.iterdir()) == sorted(FILES)
  for name in FILES[:1]:
    with Image.open(out / name) as image:
      assert image.width > 400 and image.height > 100
  content = json.loads((out / "check_data.json").read_text())
  assert content["verdict"] == verdict
  return content


# ------------------------------------------------------------- data sets


@pytest.fixture
def config(debug_config, data_dir):
  debug_config.data.update(
    name="shapes", config="debug", resolution=16, data_dir=str(data_dir)
  )
  return debug_config


def test_shapes_are_fine(config, tmp_path, capsys):
  check_data.check_dataset(config, epath.Path(tmp_path / "out"))
  content = assert_written(tmp_path / "out", "ok")
  assert len(content["objects"]) == 6  # four of train, two of test
  assert set(content["silhouette_iou"]["as stored"]) == set(content["objects"])
  out = capsys.readouterr().out
  assert "ok     silhouettes:" in out
  assert "shapes/debug: pictures and cameras agree." in out


def test_test_cameras_outside_the_training_range_are_a_note(
  config, tmp_path, capsys, monkeypatch
):
  """As in SRN chairs: the test objects are seen from half as far again."""
  opened = check_data.open_split

  class FromFarther:
    def __init__(self, views):
      self.views = views
      self.object_ids, self.num_views = views.object_ids, views.num_views

    def object(self, *args, **kwargs):
      seen = self.views.object(*args, **kwargs)
      poses = seen.world_from_cam.copy()
      poses[:, :3, 3] *= 1.5
      K = seen.K * np.array([[1.5, 1, 1], [1, 1.5, 1], [1, 1, 1]])
      return dataclasses.replace(seen, world_from_cam=poses, K=K)

  def open_split(config, split):
    views = opened(config, split)
    return FromFarther(views) if split == "test" else views

  out = epath.Path(tmp_path / "out")
  check_data.check_dataset(config, out)
  assert "ok     splits: cameras of test objects are" in capsys.readouterr().out
  monkeypatch.setattr(check_data, "open_split", open_split)
  check_data.check_dataset(config, out)
  told = capsys.readouterr().out
  assert "note   splits: cameras of test objects are" in told
  assert "outside the training range" in told
  assert "chairs_resplit" not in told  # that is about SRN


@pytest.mark.parametrize(
  "train, test, verdict",
  [
    ([2.0, 2.1], [2.0, 2.2], "ok"),
    ([2.0, 2.1], [2.0, 2.4], "note"),
    ([2.0, 2.1], [1.7, 2.1], "note"),
    ([2.0, 4.0, 2.8], [2.0, 2.0], "ok"),  # as with --least_scale 0.5
  ],
)
def test_the_range_of_distances(train, test, verdict):
  check = check_test_range(np.array(train), np.array(test), " Hint.")
  assert check.verdict == verdict
  assert ("Hint." in check.text) == (verdict == "note")


@pytest.mark.slow
@pytest.mark.parametrize("fault", [None, "poses are inverted"])
def test_an_srn_archive_that_was_built(debug_config, tmp_path, fault):
  """Nothing in the text files tells that the poses are inverted."""
  for split in ("train", "test"):
    for i in range(2):
      poses = camera_paths.srn_spiral(VIEWS, 1.3)
      if split == "train":
        poses = camera_paths.random_views(np.random.default_rng(i), VIEWS, 1.3)
      write_pose_folder(
        tmp_path / f"cars_{split}/car{i}",
        NAMES,
        render("car", i, poses, SIDE),
        poses if fault is None else np.linalg.inv(poses),
        srn_intrinsics(K, (SIDE, SIDE)),
      )
  args = f"srn --config cars_32 --num_workers 1 --data_dir {tmp_path}"
  build.main([*args.split(), "--manual_dir", str(tmp_path)])
  debug_config.data.update(
    name="srn", config="cars_32", resolution=SIDE, data_dir=str(tmp_path)
  )
  out = epath.Path(tmp_path / "out")
  if fault is None:
    check_data.check_dataset(debug_config, out)
  else:
    with pytest.raises(UserError, match=fault):
      check_data.check_dataset(debug_config, out)
  assert_written(tmp_path / "out", "ok" if fault is None else "fault")


# --------------------------------------------------------------- folders


def srn_folder(folder, poses=POSES, K=K, hw=(SIDE, SIDE)):
  images = render("chair", 0, POSES, SIDE)
  return write_pose_folder(folder, NAMES, images, poses, srn_intrinsics(K, hw))


@pytest.mark.parametrize("size", [None, 16])
def test_a_folder_is_fine(tmp_path, size):
  folder = srn_folder(tmp_path / "srn")
  check_data.check_folder(folder, size, epath.Path(tmp_path / "out"))
  assert_written(tmp_path / "out", "ok")


@pytest.mark.parametrize(
  "changes, message",
  [
    ({"poses": np.linalg.inv(POSES)}, "poses are inverted"),
    ({"poses": POSES @ CV_FROM_GL}, "poses have OpenGL axes"),
    (
      {"K": camera_paths.default_K(128), "hw": (128, 128)},
      "is for pictures of 128 x 128 pixels, but the pictures have 32 x 32",
    ),
    ({"K": camera_paths.default_K(16)}, "K is for pictures of 16 x 16"),
  ],
)
def test_faults_of_a_folder(tmp_path, changes, message):
  folder = srn_folder(tmp_path / "srn", **changes)
  with pytest.raises(UserError, match=message):
    check_data.check_folder(folder, None, epath.Path(tmp_path / "out"))
  assert_written(tmp_path / "out", "fault")


def test_a_folder_without_a_white_background(tmp_path):
  images = 255 - render("chair", 0, POSES, SIDE)
  text = srn_intrinsics(K, (SIDE, SIDE))
  folder = write_pose_folder(tmp_path / "s", NAMES, images, POSES, text)
  with pytest.raises(UserError, match="lay the objects over white"):
    check_data.check_folder(folder, None, epath.Path(tmp_path / "out"))
  assert_written(tmp_path / "out", "fault")


def test_pictures_show_the_sphere_where_the_cameras_see_it(tmp_path):
  """The cross marks the projected centre: here the middle of each picture."""
  folder = srn_folder(tmp_path / "srn")
  check_data.check_folder(folder, None, epath.Path(tmp_path / "out"))
  sheet = np.asarray(Image.open(tmp_path / "out/contact_sheet.png"))
  red = (sheet == [0xD1, 0x49, 0x5B]).all(-1)
  # 16 rings: each row of 8 cells of 128 pixels and 6 between them.
  assert red.sum() > 16 * 128
  left = sheet.shape[1] - 8 * 134
  top = sheet.shape[0] - 2 * 134
  for row in range(2):
    for column in range(8):
      y, x = top + 134 * row + 64, left + 134 * column + 64
      assert red[y - 8 : y + 9, x - 8 : x + 9].any(), (row, column)
