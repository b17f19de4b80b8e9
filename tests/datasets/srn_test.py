# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The SRN builder: round trip from `shapes`, conventions of the archives."""

import hashlib
import io
import json
import pathlib

import build
import numpy as np
from PIL import Image
import pytest
from srn.archive import open_archive
from srn_export import export_srn
import tensorflow_datasets as tfds
from tiny_srn import car_files, picture, read_all, stored_png, write_zip

from threedim_jax.inputs.posed_images.text_files import (
  format_intrinsics,
  format_pose,
  parse_pose,
)
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

INTRINSICS = "131.250000 64.000000 64.000000 0.\n0. 0. 0.\n1.\n128 128\n"


def stored(folder: pathlib.Path, split: str):
  decoders = {"image": tfds.decode.SkipDecoding()}
  builder = tfds.builder_from_directory(folder)
  return builder.as_data_source(split, decoders=decoders)


@pytest.fixture(scope="module")
def shapes_and_export(tmp_path_factory):
  root = tmp_path_factory.mktemp("round_trip")
  export = root / "export"
  args = f"shapes --config debug --num_workers 1 --data_dir {root}"
  folder = build.main([*args.split(), "--export_srn", str(export)])
  return folder, export


@pytest.mark.parametrize("source", ["folder", "zip"])
@pytest.mark.parametrize("kind", ["car", "chair"])
def test_round_trip_from_shapes(shapes_and_export, tmp_path, kind, source):
  shapes, manual_dir = shapes_and_export
  if source == "zip":
    names = [p for p in manual_dir.rglob("*") if p.is_file()]
    files = {
      f"srn_{kind}s/{p.relative_to(manual_dir).as_posix()}": p.read_bytes()
      for p in names
    }
    manual_dir = tmp_path
    write_zip(tmp_path / f"srn_{kind}s.zip", files)
  args = f"srn --config {kind}s_16 --num_workers 1 --data_dir {tmp_path}"
  srn = build.main([*args.split(), "--manual_dir", str(manual_dir)])
  for split in ("train", "validation", "test"):
    of_kind = lambda e: e["object_id"].decode().startswith(kind)
    want = [e for e in stored(shapes, split) if of_kind(e)]
    got = list(stored(srn, split))
    assert len(want) == len(got) > 0
    for a, b in zip(want, got, strict=True):
      assert a.keys() == b.keys()
      for key in a:
        np.testing.assert_array_equal(a[key], b[key])


def test_export_has_the_layout_of_the_archives(shapes_and_export):
  _, export = shapes_and_export
  chair = export / "chairs_train/chairs_2.0_train/chair_train_00000"
  assert (chair / "rgb/000003.png").is_file()
  assert len((chair / "pose/000003.txt").read_text().split()) == 16
  car = export / "cars_test/car_test_00001/intrinsics.txt"
  assert car.read_text() == "16.40625 8 8 0.\n0. 0. 0.\n1.\n16 16\n"


def test_an_export_never_overwrites(shapes_and_export):
  shapes, export = shapes_and_export
  args = f"shapes --config debug --data_dir {shapes.parents[2]} --export_srn"
  with pytest.raises(UserError, match="not empty"):
    build.main([*args.split(), str(export)])


@pytest.mark.parametrize(
  "target, message", [("a.txt", "not a folder"), (".", "not empty")]
)
def test_an_export_that_cannot_be_is_refused_before_the_build(
  target, message, tmp_path, monkeypatch
):
  (tmp_path / "a.txt").write_text("")
  monkeypatch.chdir(tmp_path)
  args = f"shapes --config debug --data_dir {tmp_path} --export_srn {target}"
  with pytest.raises(UserError, match=f"{tmp_path}.* is {message}"):
    build.main(args.split())
  assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_an_export_into_the_current_folder(
  shapes_and_export, tmp_path, monkeypatch
):
  shapes, export = shapes_and_export
  target = tmp_path / "empty"
  target.mkdir()
  monkeypatch.chdir(target)
  export_srn(shapes, pathlib.Path("."))
  names = lambda folder: sorted(
    p.relative_to(folder) for p in folder.rglob("*")
  )
  assert names(target) == names(export)


def test_cameras_that_the_layout_cannot_express_are_refused():
  K = np.float32([[20, 0, 8], [0, 20, 8], [0, 0, 1]])
  assert format_intrinsics(K, (16, 16)).startswith("20 8 8 0.")
  for place, value, message in (((0, 1), 5, "skew"), ((1, 1), 21, "focal")):
    other = K.copy()
    other[place] = value
    with pytest.raises(UserError, match=message):
      format_intrinsics(other, (16, 16))


def test_poses_on_one_line_or_four_keep_every_digit():
  pose = camera_paths.srn_spiral(7, 1.3)[3].astype(np.float32)
  one_line = format_pose(pose)
  four_lines = "\n".join(" ".join(f"{x:.9g}" for x in row) for row in pose)
  for text in (one_line, four_lines):
    got = parse_pose(text.encode(), "p").astype(np.float32)
    np.testing.assert_array_equal(got, pose)


def test_objects_are_sorted_and_views_in_order(tmp_path):
  write_zip(tmp_path / "srn_cars.zip", car_files("any_name/"))
  objects = read_all(tmp_path)
  assert [o[0]["object_id"] for o in objects] == ["a0", "b1"]
  assert [r["view"] for r in objects[0]] == [0, 1, 2]
  poses = camera_paths.srn_spiral(3, 1.3).astype(np.float32)
  for v, record in enumerate(objects[0]):
    assert record["image"] == stored_png(picture(10 + v))  # bytes are kept
    np.testing.assert_array_equal(record["world_from_cam"], poses[v])


def test_world_to_camera_poses_are_inverted(tmp_path):
  files = car_files()
  files["cars_test/c2/intrinsics.txt"] += b"1\n"
  write_zip(tmp_path / "srn_cars.zip", files)
  (records,) = read_all(tmp_path, "test")
  for record, pose in zip(
    records, camera_paths.srn_spiral(3, 1.3), strict=True
  ):
    inverse = np.linalg.inv(pose)
    np.testing.assert_allclose(record["world_from_cam"], inverse, atol=1e-6)


def test_macos_leftovers_are_ignored(tmp_path):
  files = car_files("srn_cars/")
  for name in list(files):
    folder, base = name.rsplit("/", 1)
    files[f"__MACOSX/{folder}/._{base}"] = b"junk"
    files[f"{folder}/._{base}"] = files[f"{folder}/.DS_Store"] = b"junk"
  write_zip(tmp_path / "srn_cars.zip", files)
  assert [len(o) for o in read_all(tmp_path)] == [3, 3]


def test_nested_training_chairs_win_over_a_second_copy(tmp_path):
  chairs = {
    name.replace("cars_", "chairs_"): data for name, data in car_files().items()
  }
  nested = {
    name.replace("chairs_train/", "chairs_train/chairs_2.0_train/"): data
    for name, data in chairs.items()
  }
  write_zip(tmp_path / "srn_chairs.zip", chairs | nested)
  objects = open_archive("chairs", tmp_path).objects
  assert [e.object_id for e in objects["train"]] == ["a0", "b1"]
  assert all("chairs_2.0_train" in e.path for e in objects["train"])
  assert [e.object_id for e in objects["test"]] == ["c2"]


def test_alpha_is_laid_over_white(tmp_path):
  rgba = np.zeros((16, 16, 4), np.uint8)
  rgba[..., 0] = 200
  rgba[:, 8:, 3] = 255
  rgba[:4, 8:, 3] = 51  # a fifth
  buffer = io.BytesIO()
  Image.fromarray(rgba).save(buffer, "PNG")
  files = car_files() | {"cars_test/c2/rgb/000001.png": buffer.getvalue()}
  write_zip(tmp_path / "srn_cars.zip", files)
  (records,) = read_all(tmp_path, "test")
  pixels = np.asarray(Image.open(io.BytesIO(records[1]["image"])))
  assert pixels.shape == (16, 16, 3)
  assert pixels[8, 0].tolist() == [255, 255, 255]
  assert pixels[8, 12].tolist() == [200, 0, 0]
  assert pixels[0, 12].tolist() == [244, 204, 204]


def test_resizing_averages_areas_and_scales_K(tmp_path):
  write_zip(tmp_path / "srn_cars.zip", car_files(resolution=32))
  (records,) = read_all(tmp_path, "test", resolution=16)
  pixels = np.asarray(Image.open(io.BytesIO(records[2]["image"])))
  want = picture(22, 32).reshape(16, 2, 16, 2, 3).mean((1, 3))
  np.testing.assert_allclose(pixels, want, atol=0.51)
  np.testing.assert_array_equal(records[2]["K"], camera_paths.default_K(16))


def test_chairs_split_anew(tmp_path):
  """All objects, splits of the old sizes, and an order that never changes."""
  files, sizes = {}, {"train": 12, "val": 3, "test": 5}
  for split, size in sizes.items():
    for i in range(size):
      for name, data in car_files(num_views=2).items():
        if name.startswith("cars_train/b1/"):
          top = f"chairs_{split}/{split}{i}"
          files[name.replace("cars_train/b1", top)] = data
  write_zip(tmp_path / "srn_chairs.zip", files)
  args = "srn --config chairs_resplit_16 --num_workers 1".split()
  folders = "--data_dir", str(tmp_path), "--manual_dir", str(tmp_path)
  folder = build.main([*args, *folders])
  index = json.loads((folder / "objects.json").read_text())
  ids = {split: [o[0] for o in objects] for split, objects in index.items()}
  assert {split: len(v) for split, v in ids.items()} == {
    "train": 12,
    "validation": 3,
    "test": 5,
  }
  all_ids = sum(ids.values(), [])
  assert sorted(all_ids) == sorted(
    f"{s}{i}" for s in sizes for i in range(sizes[s])
  )
  assert ids["validation"] == ["test0", "train11", "train2"]  # for good
  mixed = sum(id_.startswith("train") for id_ in ids["test"])
  assert 0 < mixed, "test objects come from all splits"
  metadata = json.loads((folder / "metadata.json").read_text())
  for split, names in ids.items():
    digest = hashlib.sha256("".join(f"{n}\n" for n in names).encode())
    assert metadata["resplit_ids_sha256"][split] == digest.hexdigest()
  assert metadata["resplit_seed"] == 0
