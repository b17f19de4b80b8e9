# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The renderer against projection, the objects' variety, the built records."""

import dataclasses
import json
import pathlib
import types

import build
import numpy as np
import pytest
from rendering import Renderer
from shapes import objects, solids
from shapes.dof import draw
from shapes.shapes_dataset_builder import Builder
import tensorflow_datasets as tfds
import trimesh

from threedim_jax.views import camera_paths
from threedim_jax.views.png import decode_png

KINDS = sorted(objects.KINDS)


def project(points, world_from_cam, K):
  """Pixels [N, 2] of world points [N, 3]: the pinhole camera, written out."""
  cam_from_world = np.linalg.inv(world_from_cam)
  cam = points @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]
  px = cam @ K.T
  return px[:, :2] / px[:, 2:]


def colored_balls(centers, colors):
  balls = []
  for center, rgb in zip(centers, colors, strict=True):
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.06)
    ball.apply_translation(center)
    ball.visual.face_colors = [*rgb, 255]
    balls.append(ball)
  return trimesh.util.concatenate(balls)


@pytest.mark.parametrize("seed", range(4))
def test_pictures_agree_with_the_pinhole_camera(seed):
  # Three balls, off centre: any flip, transposition, change of handedness or
  # shift by half a pixel moves a centroid.
  centers = np.array([[0.3, 0, 0.1], [0, 0.4, -0.1], [-0.1, -0.1, 0.4]])
  colors = np.eye(3, dtype=int) * 250
  rng = np.random.default_rng(seed)
  pose = camera_paths.random_views(rng, 1, radius=2.0)[0]
  K = camera_paths.default_K(64)
  K[:2, 2] += [3.25, -2.5]  # a principal point that is not the centre
  image = Renderer(colored_balls(centers, colors))(pose, K, 64, samples=4)
  found = []
  for c in range(3):
    # The hue: what is left of white in the other channels.
    weight = 255 - image.astype(float)[..., [k for k in range(3) if k != c]]
    weight = weight.min(-1) * (image[..., c] > image.min(-1) + 20)
    rows, columns = np.indices((64, 64)) + 0.5
    found.append([(weight * g).sum() / weight.sum() for g in (columns, rows)])
  error = np.array(found) - project(centers, pose, K)
  np.testing.assert_allclose(error, 0, atol=0.2)
  # On average far less, or the rays are not in the middle of their cells.
  np.testing.assert_allclose(error.mean(0), 0, atol=0.06)


def test_neighbouring_faces_differ_and_shade_stays_with_the_world():
  cube = trimesh.creation.box((0.5, 0.5, 0.5))
  cube.visual.face_colors = [200, 100, 50, 255]
  K = camera_paths.default_K(64)
  shades = set()
  for azimuth in (45, 135, 225, 315):
    point = camera_paths.sphere_points(azimuth, 30, 2.0)
    image = Renderer(cube)(camera_paths.look_at(point), K, 64)
    values, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
    flat = {tuple(v) for v, n in zip(values, counts, strict=True) if n > 25}
    assert (255, 255, 255) in flat and len(flat) == 4  # white and 3 faces
    shades |= flat
  assert len(shades) == 6  # white, the top and four sides, each always the same


def looks(tables, p, **change):
  mesh = tables.build(types.SimpleNamespace(**{**vars(p), **change}))
  return mesh.vertices.tobytes() + mesh.visual.face_colors.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_degree_of_freedom_changes_the_object(kind):
  tables = objects.KINDS[kind]
  rng = np.random.default_rng(0)
  bases = [draw(rng, tables.CONTINUOUS, tables.DISCRETE) for _ in range(60)]
  alternatives = {
    k: list(dict.fromkeys(v))
    for k, v in (tables.CONTINUOUS | tables.DISCRETE).items()
  }
  for name, (first, *others) in alternatives.items():
    for other in others:
      assert any(
        looks(tables, p, **{name: first}) != looks(tables, p, **{name: other})
        for p in bases
      ), (name, other)


@pytest.mark.parametrize("kind", KINDS)
def test_objects_fill_their_sphere_inside_every_frame(kind):
  radius = objects.KINDS[kind].RADIUS
  # The cone that touches the sides of the picture, 64 px from its centre.
  half_angle = np.arctan(64 / camera_paths.FOCAL_AT_128)
  assert radius < 0.97 * camera_paths.RADIUS[kind] * np.sin(half_angle)
  for i in range(25):
    mesh = objects.build_mesh(kind, 0, "train", i)
    assert np.linalg.norm(mesh.vertices, axis=-1).max() == pytest.approx(radius)
    np.testing.assert_allclose(mesh.bounds.sum(0), 0, atol=1e-9)


def test_limits_keep_the_objects_and_move_the_cameras():
  """Farther cameras see the same chair; off the axis they look past it."""
  task = objects.Task("chair", "test", 4, num_views=6, resolution=16, seed=0)
  poses = objects.cameras(task)
  far = objects.cameras(dataclasses.replace(task, distance=1.5))
  np.testing.assert_allclose(far[:, :3, 3], 1.5 * poses[:, :3, 3])
  np.testing.assert_allclose(far[:, :3, :3], poses[:, :3, :3], atol=1e-12)
  off = objects.cameras(dataclasses.replace(task, off_axis=0.3))
  np.testing.assert_allclose(off[:, :3, 3], poses[:, :3, 3])
  # Where the optical axis comes nearest to the origin.
  position, forward = off[:, :3, 3], off[:, :3, 2]
  along = np.sum(position * forward, axis=1, keepdims=True)
  miss = np.linalg.norm(position - along * forward, axis=1)
  assert np.all(miss <= 0.3 + 1e-9) and miss.min() > 0.02
  limits = [c for c in Builder.BUILDER_CONFIGS if c.name.startswith("limits")]
  assert len(limits) == 5
  assert {c.kinds for c in limits} == {("chair",), ("table",)}


def test_solids_are_closed():
  parts = solids.Parts()
  parts.add(solids.box((1, 2, 3), (0, 0, 0)), (1, 0, 0))
  box = parts.mesh(radius=14**0.5 / 2)
  assert box.is_watertight
  assert abs(box.volume) == pytest.approx(6)
  vertices, faces = solids.bar((0, 0, 0), (0, 0, 2), 0.5, sections=64)
  assert abs(trimesh.Trimesh(vertices, faces).volume) == pytest.approx(
    np.pi / 2, rel=0.01
  )


@pytest.fixture(scope="module")
def debug_set(tmp_path_factory) -> pathlib.Path:
  data_dir = tmp_path_factory.mktemp("shapes")
  args = f"shapes --config debug --num_workers 1 --data_dir {data_dir}"
  return build.main(args.split())


def test_records_and_index(debug_set):
  builder = tfds.builder_from_directory(debug_set)
  index = json.loads((debug_set / "objects.json").read_text())
  assert [(s, len(o)) for s, o in index.items()] == [
    ("train", 8),
    ("validation", 2),
    ("test", 2),
  ]
  for split, entries in index.items():
    views = builder.as_data_source(split)
    assert sum(count for _, _, count in entries) == len(views)
    for i, (object_id, start, count) in enumerate(entries):
      kind = ("chair", "car")[i % 2]
      assert object_id == f"{kind}_{split}_{i:05d}"
      group = [views[start + v] for v in range(count)]
      assert {g["object_id"].decode() for g in group} == {object_id}
      assert [g["view"] for g in group] == list(range(count))
      poses = np.stack([g["world_from_cam"] for g in group])
      assert poses.dtype == group[0]["K"].dtype == np.float32
      radius = np.linalg.norm(poses[:, :3, 3], axis=-1)
      np.testing.assert_allclose(radius, camera_paths.RADIUS[kind], rtol=1e-6)
      if split != "train":
        spiral = camera_paths.srn_spiral(6, camera_paths.RADIUS[kind])
        np.testing.assert_array_equal(poses, spiral.astype(np.float32))
      for g in group:
        np.testing.assert_array_equal(g["K"], camera_paths.default_K(16))
        assert g["image"].shape == (16, 16, 3) and g["image"].dtype == np.uint8
        assert np.all(g["image"][[0, 0, -1, -1], [0, -1, 0, -1]] == 255)
        assert g["image"].min() < 200


def test_other_counts_leave_the_objects_as_they_are(debug_set, tmp_path):
  args = (
    f"shapes --config debug --num_workers 1 --data_dir {tmp_path}"
    " --num_train_objects 3 --num_test_objects 3"
  )
  folder = build.main(args.split())
  for split, num_views in (("train", 12), ("test", 12)):
    few, many = (
      tfds.builder_from_directory(f).as_data_source(
        split, decoders={"image": tfds.decode.SkipDecoding()}
      )
      for f in (folder, debug_set)
    )
    for i in range(num_views):
      assert few[i]["image"] == many[i]["image"]
      np.testing.assert_array_equal(
        few[i]["world_from_cam"], many[i]["world_from_cam"]
      )
  assert decode_png(few[0]["image"], "").shape == (16, 16, 3)
  metadata = json.loads((folder / "metadata.json").read_text())
  assert metadata["overridden"] == ["num_test_objects", "num_train_objects"]
  assert metadata["num_train_objects"] == 3


def test_files_are_the_same_for_any_number_of_workers(debug_set, tmp_path):
  args = f"shapes --config debug --num_workers 2 --data_dir {tmp_path}"
  folder = build.main(args.split())
  names = sorted(p.name for p in debug_set.iterdir())
  assert names == sorted(p.name for p in folder.iterdir())
  for name in names:
    assert (folder / name).read_bytes() == (debug_set / name).read_bytes()
