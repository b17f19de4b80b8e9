# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The SRN builder: round trip from `shapes`, real conventions, bad archives."""

import errno
import io
import json
import os
import pathlib
import zipfile

import build
import numpy as np
from PIL import Image
import pytest
from srn.archive import open_archive
from srn.objects import read_object
from srn.text_files import format_pose, parse_intrinsics, parse_pose
import tensorflow_datasets as tfds

from threedim_jax import camera_paths
from threedim_jax.errors import UserError
from threedim_jax.png import encode_png

INTRINSICS = "131.250000 64.000000 64.000000 0.\n0. 0. 0.\n1.\n128 128\n"


def picture(seed: int, resolution=16) -> np.ndarray:
  size = (resolution, resolution, 3)
  return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


def stored_png(pixels: np.ndarray) -> bytes:
  """Not the bytes that our own encoder would make."""
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, "PNG", compress_level=0)
  return buffer.getvalue()


def write_zip(path: pathlib.Path, files: dict[str, bytes]) -> None:
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
    for name, data in files.items():
      z.writestr(name, data)


def car_files(top="", num_views=3, resolution=16) -> dict[str, bytes]:
  """An archive with two training objects and a test object."""
  poses = camera_paths.srn_spiral(num_views, 1.3)
  f = 131.25 * resolution / 128
  c = resolution / 2
  text = f"{f} {c} {c} 0.\n0. 0. 0.\n1.\n{resolution} {resolution}\n"
  files = {}
  for k, name in enumerate(("cars_train/b1", "cars_train/a0", "cars_test/c2")):
    files[f"{top}{name}/intrinsics.txt"] = text.encode()
    for v in range(num_views):
      png = stored_png(picture(10 * k + v, resolution))
      files[f"{top}{name}/rgb/{v:06d}.png"] = png
      files[f"{top}{name}/pose/{v:06d}.txt"] = format_pose(poses[v]).encode()
  return files


def read_all(manual_dir, split="train", resolution=16) -> list[list[dict]]:
  archive = open_archive("cars", manual_dir)
  raw = [archive.read(e) for e in archive.objects[split]]
  return [read_object(r, resolution) for r in raw]


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


def test_poses_on_one_line_or_four_keep_every_digit():
  pose = camera_paths.srn_spiral(7, 1.3)[3].astype(np.float32)
  one_line = format_pose(pose)
  four_lines = "\n".join(" ".join(f"{x:.9g}" for x in row) for row in pose)
  for text in (one_line, four_lines):
    got = parse_pose(text.encode(), "p").astype(np.float32)
    np.testing.assert_array_equal(got, pose)


def test_intrinsics_as_in_the_archives():
  got = parse_intrinsics(INTRINSICS.encode(), "i")
  np.testing.assert_array_equal(got.K, camera_paths.default_K(128))
  assert got.hw == (128, 128) and not got.poses_are_cam_from_world
  # Older SRN data has a line more: 1 says that poses are world-to-camera.
  assert parse_intrinsics(
    f"{INTRINSICS}1\n".encode(), "i"
  ).poses_are_cam_from_world


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


ROTTEN = format_pose(np.diag([1, 1, 1.1, 1])).encode()
MIRROR = format_pose(np.diag([1, 1, -1, 1])).encode()
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
    (RGB, encode_png(picture(0, 8)), r"000001.png has 8 x 8 .* for 16 x 16"),
    (POSE, ROTTEN, r"pose/000001.txt is not a rigid transform"),
    (POSE, MIRROR, r"pose/000001.txt is not a rigid transform"),
    (POSE, b"1 0 0 0 0 1 0 0", r"pose/000001.txt holds 8 numbers"),
    (POSE, b"nan " * 16, r"pose/000001.txt holds a number that is not finite"),
    (POSE, b"\xff\xfe", r"pose/000001.txt is not a text file of numbers"),
    (K_FILE, b"16 30 8 0.\n16 16", r"principal point \(30, 8\) lies outside"),
    (K_FILE, b"1.6 8 8 0.\n16 16", r"focal length of 1.6 pixels does not fit"),
    (K_FILE, b"16 64 64 0.\n128 128", r"focal length of 16 pixels"),
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


def test_a_bad_object_stops_the_build_and_leaves_nothing(damaged):
  args, folder = damaged
  with pytest.raises(UserError, match="cars_train/a0/rgb.*--skip_bad"):
    build.main(args)
  assert not list(folder.glob("1.0.0*"))


def test_skip_bad_lists_and_leaves_out(damaged, capsys):
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


def test_no_space_is_said_before_the_work(damaged, monkeypatch):
  args, folder = damaged
  usage = lambda path: type("Usage", (), {"free": 1000})
  monkeypatch.setattr("shutil.disk_usage", usage)
  with pytest.raises(UserError, match="0 MB free"):
    build.main([*args, "--skip_bad"])
  assert not list(folder.glob("1.0.0*"))


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
