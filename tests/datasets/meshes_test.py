# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The data set `meshes`: ids, splits, cameras, and the built records."""

import io
import json
import os
import pathlib
import sys

from mesh_folders import build_meshes, colored_box, load_mesh, write_obj
from meshes import files, objects
from meshes.cameras import read_cameras
from meshes.meshes_dataset_builder import config_of
import numpy as np
import pytest
from rendering import Renderer
import tensorflow_datasets as tfds
import trimesh

from threedim_jax.inputs import view_source
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths


def metadata(folder: pathlib.Path) -> dict:
  return json.loads((folder / "metadata.json").read_text())


def objects_of(folder: pathlib.Path) -> dict[str, list[str]]:
  index = json.loads((folder / "objects.json").read_text())
  return {split: [o[0] for o in entries] for split, entries in index.items()}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> pathlib.Path:
  """Two categories, and every format but glTF with its files apart."""
  folder = tmp_path_factory.mktemp("meshes") / "my toys!"
  write_obj(folder / "box/kd/models/model_normalized.obj", "Kd 0.8 0.4 0.2")
  for name in ("box/a.ply", "box/b/model.glb", "box/c.off"):
    colored_box(folder / name)
  trimesh.creation.torus(0.7, 0.25).export(folder / "box" / "ring.STL")
  for i, rgb in enumerate(([250, 20, 20], [20, 250, 20], [20, 20, 250])):
    colored_box(folder / f"many/{i}/mesh.ply", rgb)
  return folder


@pytest.fixture(scope="module")
def built(source, tmp_path_factory) -> pathlib.Path:
  return build_meshes(source, tmp_path_factory.mktemp("data"))


def test_the_folder_tells_ids_and_categories(built):
  assert built.parts[-3:] == ("meshes", "my_toys_debug", "1.0.0")
  splits = objects_of(built)
  assert sorted(sum(splits.values(), [])) == [
    *("box_a", "box_b", "box_c", "box_kd", "box_ring"),
    *("many_0", "many_1", "many_2"),
  ]
  assert all(splits.values())
  stored = metadata(built)
  assert stored["categories"] == {"box": 5, "many": 3}
  assert stored["num_objects"] == 8 and stored["skipped"] == []


def test_records_are_what_the_renderer_makes_of_the_mesh(built):
  """From the exported mesh itself, turned and scaled here by other means."""
  mesh = trimesh.creation.box((2.0, 1.0, 0.5))
  mesh.visual.vertex_colors = [200, 100, 50, 255]
  mesh.apply_scale(0.82 / (np.linalg.norm([2.0, 1.0, 0.5]) / 2))
  views = {}
  for split in files.SPLITS:
    for view in tfds.builder_from_directory(built).as_data_source(split):
      views.setdefault(view["object_id"].decode(), []).append((split, view))
  render = Renderer(mesh)
  for _, view in views["box_a"]:
    assert view["image"].shape == (16, 16, 3)
    np.testing.assert_array_equal(view["K"], camera_paths.default_K(16))
    expected = render(view["world_from_cam"], view["K"], 16, samples=3)
    error = np.abs(view["image"].astype(int) - expected)
    assert error.max() <= 1 and (expected < 200).any()
  for split, view in sum(views.values(), []):
    distance = np.linalg.norm(view["world_from_cam"][:3, 3])
    assert distance == pytest.approx(2.0, rel=1e-6)
    assert np.all(view["image"][[0, 0, -1, -1], [0, -1, 0, -1]] == 255)
    if split != "train":
      spiral = camera_paths.srn_spiral(6).astype(np.float32)
      np.testing.assert_array_equal(
        view["world_from_cam"], spiral[view["view"]]
      )
  assert {len(v) for v in views.values()} == {4, 6}
  # Training cameras differ from object to object.
  first = {v[0][1]["world_from_cam"].tobytes() for v in views.values()}
  assert len(first) >= 6


def test_another_mesh_beside_changes_no_other_object():
  """Neither its split nor its cameras, once there are enough for 90/5/5."""
  file = lambda i: files.MeshFile(
    pathlib.PurePath(f"{i}.obj"), 1, f"o{i}", category=None
  )
  few, many = (
    files.split_objects([file(i) for i in range(n)]) for n in (300, 1000)
  )
  for split in files.SPLITS:
    assert {f.object_id for f in few[split]} <= {
      f.object_id for f in many[split]
    }
  counts = [len(many[s]) for s in files.SPLITS]
  assert sum(counts) == 1000
  assert 870 < counts[0] < 930 and 30 < counts[1] < 75 and 30 < counts[2] < 75
  for n in range(3, 12):
    assert all(files.split_objects([file(i) for i in range(n)]).values())
  task = objects.Task(pathlib.Path(), file(1), "train", 3, 16)
  (a, _), (b, _) = objects.cameras(task), objects.cameras(task)
  np.testing.assert_array_equal(a, b)


def test_a_list_decides_which_objects_are_for_testing(tmp_path):
  for i in range(6):
    colored_box(tmp_path / "toys" / f"o{i}.ply")
  (tmp_path / "ids.txt").write_text("o4\n\n  o1\n", "utf-8-sig")
  flags = ["--test_objects", str(tmp_path / "ids.txt")]
  folder = build_meshes(tmp_path / "toys", tmp_path / "listed", *flags)
  splits = objects_of(folder)
  assert splits["test"] == ["o1", "o4"]
  others = splits["train"] + splits["validation"]
  assert sorted(others) == ["o0", "o2", "o3", "o5"]
  assert splits["train"] and splits["validation"]


@pytest.mark.parametrize("num_others", [2, 3, 5])
def test_the_test_split_is_the_list_however_few_objects_are_left(num_others):
  all_files = [
    files.MeshFile(pathlib.PurePath(f"{i}.obj"), 1, f"o{i}", category=None)
    for i in range(20)
  ]
  ids = frozenset(f.object_id for f in all_files[num_others:])
  splits = files.split_objects(all_files, ids)
  assert {f.object_id for f in splits["test"]} == ids
  assert splits["train"] and splits["validation"]
  assert sum(map(len, splits.values())) == len(all_files)


@pytest.mark.parametrize(
  "text, words",
  [
    ("", "has no object id"),
    ("o1\no9\n", "no object with the id 'o9' .1 of 2 ids are unknown."),
    ("o0\no1\no2\n", "leaves 1 object"),
  ],
)
def test_a_list_of_test_objects_that_cannot_be_used(tmp_path, text, words):
  for i in range(4):
    colored_box(tmp_path / "toys" / f"o{i}.ply")
  (tmp_path / "ids.txt").write_text(text)
  flags = ["--test_objects", str(tmp_path / "ids.txt")]
  with pytest.raises(UserError, match=words):
    build_meshes(tmp_path / "toys", tmp_path / "listed", *flags)


def test_few_meshes_are_in_every_split(tmp_path, capsys, caplog):
  colored_box(tmp_path / "toys/model.ply")
  folder = build_meshes(tmp_path / "toys", tmp_path, "--name", "one")
  assert folder.parts[-2] == "one_debug"
  assert objects_of(folder) == {s: ["model"] for s in files.SPLITS}
  err = capsys.readouterr().err
  assert "has 1 mesh(es), fewer than the three splits" in err
  # TFDS would warn that the config is not one of the class.
  assert not [r for r in caplog.records if "custom" in r.getMessage()]


@pytest.mark.parametrize(
  "first, second",
  [
    ("chair/model.obj", "chair/model.ply"),
    ("a/b_c.obj", "a_b/c.obj"),
    ("x/models/model_normalized.obj", "x/mesh.stl"),
  ],
)
def test_two_files_of_one_name_are_both_named(tmp_path, first, second):
  for name in (first, second):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("")
  with pytest.raises(UserError, match="would both be the object") as e:
    files.find_meshes(tmp_path)
  assert first in str(e.value) and second in str(e.value)


def test_hidden_files_are_no_meshes_and_names_are_those_of_folders(tmp_path):
  for name in ("._a.obj", ".git/a.obj", "a.txt", "Ää b.GLB"):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
  assert [f.object_id for f in files.find_meshes(tmp_path).files] == ["Ää b"]
  (tmp_path / ("x" * 201 + ".obj")).write_text("")
  with pytest.raises(UserError, match="cannot name a folder"):
    files.find_meshes(tmp_path)


def test_models_of_formats_that_are_not_read_are_counted(tmp_path):
  for name in ("b/x.fbx", "b/a.FBX", "b/c.tar.gz", "b/notes.txt"):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
  sentences = [
    ".fbx files: 2 not read, the first is b/a.FBX.",
    ".gz files: 1 not read, the first is b/c.tar.gz.",
  ]
  with pytest.raises(UserError, match="holds no mesh") as e:
    files.find_meshes(tmp_path)
  assert str(e.value).endswith(" ".join(sentences))
  (tmp_path / "d.obj").write_text("")
  assert files.find_meshes(tmp_path).left_out == sentences


def test_a_file_name_that_is_no_text_is_printed(tmp_path, monkeypatch):
  """A Latin-1 name of a file that is not read, on a strict UTF-8 terminal."""
  colored_box(tmp_path / "toys/a.ply")
  pathlib.Path(os.fsdecode(b"%b/toys/caf\xe9.fbx" % bytes(tmp_path))).touch()
  stdout = io.TextIOWrapper(io.BytesIO(), "utf-8")
  monkeypatch.setattr(sys, "stdout", stdout)
  build_meshes(tmp_path / "toys", tmp_path)
  stdout.flush()
  assert b"the first is caf\\udce9.fbx." in stdout.buffer.getvalue()


@pytest.mark.parametrize(
  "first, second",
  [
    ("{}/raw_model.obj", "{}/normalized_model.obj"),
    ("{}/chair.obj", "{}/chair_collision.obj"),
    ("{}_LOD0.obj", "{}_LOD1.obj"),
    ("{}/visual.ply", "{}/model.obj"),
  ],
)
def test_variants_of_a_model_come_into_one_split(first, second, tmp_path):
  for i in range(100):
    for name in (first, second):
      path = tmp_path / name.format(i)
      path.parent.mkdir(exist_ok=True)
      path.write_text("")
  found = files.find_meshes(tmp_path).files
  splits = files.split_objects(found)
  models = {s: {f.model for f in splits[s]} for s in files.SPLITS}
  assert len(found) == 200 and all(models.values())
  assert sum(map(len, models.values())) == len(set().union(*models.values()))


def test_only_variants_depend_on_more_than_their_id(tmp_path):
  names = [f"{i}/model_normalized.obj" for i in range(50)]
  names += [f"flat_{i}.obj" for i in range(50)]
  names += [f"raw_{i:04}.obj" for i in range(50)]
  for name in names:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
  assert not [f for f in files.find_meshes(tmp_path).files if f.model]


def test_variants_of_a_model_are_named(tmp_path, capsys):
  for name in ("a/raw_model.ply", "a/normalized_model.ply", "b/model.ply"):
    colored_box(tmp_path / "toys" / name)
  build_meshes(tmp_path / "toys", tmp_path)
  note = (
    f"note: a/normalized_model.ply and a/raw_model.ply in {tmp_path}/toys look"
    " like variants of one model (2 files do). Each file becomes an object"
  )
  assert note in capsys.readouterr().err


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
  def refuse(path):
    raise PermissionError(13, "Permission denied", str(path))

  monkeypatch.setattr("os.scandir", refuse)
  with pytest.raises(UserError, match="cannot be listed .Permission denied"):
    files.find_meshes(tmp_path)


def test_other_files_or_settings_are_not_passed_off_as_built(tmp_path):
  source = tmp_path / "toys"
  colored_box(source / "a.ply")
  folder = build_meshes(source, tmp_path)
  assert build_meshes(source, tmp_path) == folder
  with pytest.raises(UserError, match="up is None .*; radius is 2.0 there and"):
    build_meshes(source, tmp_path, "--up", "y", "--radius", "2.5")
  colored_box(source / "b.ply")
  with pytest.raises(UserError, match="num_objects is 1 there and 2 here"):
    build_meshes(source, tmp_path)


@pytest.mark.parametrize("name", ["toys_64", "my_big_set_many_128"])
def test_a_missing_data_set_says_how_to_build_it(tmp_path, name):
  with pytest.raises(UserError, match="build.py meshes --from") as e:
    view_source.open_views(tmp_path, "meshes", name, "train")
  words = str(e.value).split()
  flag = lambda key: words[words.index(key) + 1]
  config = config_of(flag("--config"), flag("--name"), tmp_path)
  # many_ may go to the one or the other: the folder is the same.
  assert config.name == name


# --------------------------------------------------------------- cameras


def write_cameras(folder: pathlib.Path, **content) -> pathlib.Path:
  poses = camera_paths.orbit(5, 30, 2.5)
  content = {"world_from_cam": poses.tolist(), **content}
  path = folder / "cameras.json"
  path.write_text(json.dumps({k: v for k, v in content.items() if v}))
  return path


def test_cameras_of_a_file_are_used_in_every_split(tmp_path):
  for i in range(3):
    colored_box(tmp_path / f"toys/{i}.ply")
  file = write_cameras(tmp_path, fov_deg=53.130102354155994)
  folder = build_meshes(tmp_path / "toys", tmp_path, "--cameras", str(file))
  K = [[16, 0, 8], [0, 16, 8], [0, 0, 1]]
  poses = camera_paths.orbit(5, 30, 2.5).astype(np.float32)
  for split in files.SPLITS:
    views = tfds.builder_from_directory(folder).as_data_source(split)
    assert len(views) == 5
    for pose, view in zip(poses, views, strict=True):
      np.testing.assert_array_equal(view["world_from_cam"], pose)
      np.testing.assert_allclose(view["K"], K, rtol=1e-6)
  write_cameras(tmp_path, fov_deg=50)
  with pytest.raises(UserError, match="cameras_sha256 is"):
    build_meshes(tmp_path / "toys", tmp_path, "--cameras", str(file))
  with pytest.raises(UserError, match="--radius is for our cameras"):
    build_meshes(
      tmp_path / "toys", tmp_path, "--cameras", str(file), "--radius", "3"
    )


POSES = camera_paths.orbit(5, 30, 2.5)
MIRRORED = (POSES @ np.diag([-1.0, 1, 1, 1])).tolist()
NOT_FINITE = [*POSES.tolist(), np.full((4, 4), np.nan).tolist()]


@pytest.mark.parametrize(
  "content, message",
  [
    ({"world_from_cam": None}, "has no list 'world_from_cam'"),
    ({"world_from_cam": POSES[:1].tolist()}, r"has 1 camera\(s\)"),
    ({"world_from_cam": POSES[:, :3].tolist()}, "does not hold 4x4 matrices"),
    ({"world_from_cam": [[1, 2], [3]]}, "does not hold 4x4 matrices"),
    ({"world_from_cam": MIRRORED}, "world_from_cam 0 is not a rigid"),
    ({"world_from_cam": NOT_FINITE}, "world_from_cam 5 .*not finite"),
    ({"fov_deg": 180}, "fov_deg is 180, it must be a number of degrees"),
    ({"fov_deg": "50"}, "fov_deg is '50', it must be a number of degrees"),
    ({"fov_deg": 0.5}, "focal length of 1833.*does not fit"),
    ({"K": [[16, 0], [0, 16]]}, "K does not hold 3x3 matrices"),
    ({"K": [[16, 0, 64], [0, 16, 8], [0, 0, 1]]}, "principal point"),
    ({"K": np.eye(3).tolist(), "fov_deg": 50}, "has both K and fov_deg"),
    ({"poses": [1]}, "unknown key 'poses'"),
    ("[", "cameras.json cannot be read as JSON"),
    ("[" * 100_000, "cameras.json cannot be read as JSON"),
    ({"world_from_cam": [[[10**400] * 4] * 4] * 2}, "does not hold 4x4"),
    (None, "cameras.json cannot be read as JSON"),
  ],
)
def test_a_camera_file_that_cannot_be_meant(tmp_path, content, message):
  path = tmp_path / "cameras.json"
  if isinstance(content, dict):
    write_cameras(tmp_path, **content)
  elif content is not None:
    path.write_text(content)
  with pytest.raises(UserError, match=message):
    read_cameras(path, 16)


def test_cameras_of_a_file_may_have_a_K(tmp_path):
  K = [[20, 0, 8], [0, 21, 9], [0, 0, 1]]
  poses, found = read_cameras(write_cameras(tmp_path, K=K), 16)
  np.testing.assert_array_equal(found, K)
  np.testing.assert_array_equal(poses, camera_paths.orbit(5, 30, 2.5))


def test_cameras_of_a_file_with_a_byte_order_mark(tmp_path):
  path = write_cameras(tmp_path)
  path.write_text(path.read_text(), "utf-8-sig")
  poses, _ = read_cameras(path, 16)
  np.testing.assert_array_equal(poses, camera_paths.orbit(5, 30, 2.5))


def test_the_distance_that_is_asked_for_is_accepted():
  with pytest.raises(UserError, match="from 1.88 on"):
    objects.check_distance(1.87)
  objects.check_distance(1.88)


def task_of(object_id: str, **settings) -> objects.Task:
  path = pathlib.PurePath("a.ply")
  file = files.MeshFile(path, 1, object_id, category=None)
  return objects.Task(pathlib.Path(), file, "train", 2000, 64, **settings)


def test_random_orientation_and_scale_move_the_cameras():
  """Pairs keep their relative view; directions and rolls become uniform."""
  plain, _ = objects.cameras(task_of("a"))
  moved, _ = objects.cameras(task_of("a", turned=True, least_scale=0.5))
  again, _ = objects.cameras(task_of("a", turned=True, least_scale=0.5))
  np.testing.assert_array_equal(moved, again)
  other, _ = objects.cameras(task_of("b", turned=True, least_scale=0.5))
  assert (moved != other).any()
  distance = np.linalg.norm(moved[:, :3, 3], axis=-1)
  scale = 2.0 / distance
  assert scale.min() < 0.51 and scale.max() > 0.99 and (scale <= 1).all()
  assert abs(np.median(scale) - np.sqrt(0.5)) < 0.03
  relative = lambda poses: np.linalg.inv(poses[::2]) @ poses[1::2]
  first, second = relative(plain), relative(moved)
  np.testing.assert_allclose(first[:, :3, :3], second[:, :3, :3], atol=1e-9)
  np.testing.assert_allclose(
    first[:, :3, 3], second[:, :3, 3] * scale[::2, None], atol=1e-9
  )
  # Uniform over all rotations: every axis of the cameras points everywhere.
  for axis in range(3):
    mean = moved[::2, :3, axis].mean(0)
    spread = moved[::2, :3, axis].T @ moved[::2, :3, axis] / len(moved[::2])
    np.testing.assert_allclose(mean, 0, atol=0.06)
    np.testing.assert_allclose(spread, np.eye(3) / 3, atol=0.04)


def test_random_orientation_is_in_the_records(tmp_path):
  """Cameras and pictures of the records still fit."""
  colored_box(tmp_path / "toys/a.ply")
  flags = ("--random_orientation", "--least_scale", "0.5")
  folder = build_meshes(tmp_path / "toys", tmp_path, *flags)
  render = Renderer(load_mesh(tmp_path / "toys/a.ply").parts)
  views = list(tfds.builder_from_directory(folder).as_data_source("train"))
  for view in views:
    expected = render(view["world_from_cam"], view["K"], 16, samples=3)
    np.testing.assert_array_equal(view["image"], expected)
  heights = [view["world_from_cam"][2, 3] for view in views]
  assert len({round(float(h), 3) for h in heights}) == 4
  assert metadata(folder)["least_scale"] == 0.5
  with pytest.raises(UserError, match="--least_scale is 0: choose a number"):
    build_meshes(tmp_path / "toys", tmp_path, "--least_scale", "0")
