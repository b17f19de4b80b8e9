# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The cameras of somebody's picture and of the views that it asks for."""

import json
import math

import numpy as np
from PIL import Image
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.sampling.photo import Photo, photo_scene, read_path
from threedim_jax.viewing.viewer import view_angles
from threedim_jax.views import camera_paths


def test_the_default_camera_is_that_of_training():
  photo = Photo(file="a.png")
  np.testing.assert_allclose(
    photo.K(128), camera_paths.default_K(128), rtol=1e-9
  )
  assert photo.radius == pytest.approx(2.0)
  assert np.linalg.norm(photo.pose()[:3, 3]) == pytest.approx(2.0)


def test_the_object_is_as_large_with_any_field_of_view():
  for fov in (10.0, 80.0):
    photo = Photo(file="a.png", fov=fov)
    size = photo.K(128)[0, 0] / photo.radius
    assert size == pytest.approx(camera_paths.FOCAL_AT_128 / 2.0)
  assert Photo(file="a.png", fov=10.0, distance=3.0).radius == 3.0


def test_an_orbit_goes_round_from_the_picture():
  photo = Photo(file="a.png", azimuth=30.0, elevation=40.0)
  azimuth, elevation = view_angles(
    np.concatenate([photo.pose()[None], photo.targets(3)])
  )
  np.testing.assert_allclose(azimuth % 360, [30, 120, 210, 300], atol=1e-6)
  np.testing.assert_allclose(elevation, 40, atol=1e-6)


def test_a_spiral_at_the_distance_of_the_picture():
  targets = Photo(file="a.png", path="spiral", distance=1.5).targets(9)
  np.testing.assert_allclose(targets, camera_paths.srn_spiral(9, 1.5))


def test_a_path_of_angles_and_poses(tmp_path):
  file = tmp_path / "path.json"
  pose = camera_paths.orbit(5, 10, 1.2)[2]
  views = [
    {"azimuth": 90, "elevation": 0},
    {"azimuth": 0, "elevation": 30, "distance": 4},
    {"world_from_cam": pose.tolist()},
  ]
  file.write_text(json.dumps(views))
  poses = Photo(file="a.png", path=str(file)).targets(99)
  np.testing.assert_allclose(poses[0, :3, 3], [0, 2, 0], atol=1e-9)
  np.testing.assert_allclose(
    poses[1, :3, 3], [4 * math.cos(math.pi / 6), 0, 2], atol=1e-9
  )
  np.testing.assert_array_equal(poses[2], pose)


@pytest.mark.parametrize(
  "content, message",
  [
    ("{", "not valid JSON"),
    ("[]", "at least one view"),
    ('{"azimuth": 1}', "at least one view"),
    ('[{"azimuth": 1}]', 'view 0 needs "azimuth" and "elevation"'),
    ('[{"azimuth": 1, "elevation": 90}]', "view 0 needs"),
    ('[{"azimuth": NaN, "elevation": 0}]', "view 0 needs"),
    ('[{"azimuth": 1e999, "elevation": 0}]', "view 0 needs"),
    (f'[{{"azimuth": {10**400}, "elevation": 0}}]', "view 0 needs"),
    ('[{"world_from_cam": [1]}]', "no 4x4 matrix"),
    (
      '[{"world_from_cam": [[2,0,0,0],[0,2,0,0],[0,0,2,0],[0,0,0,1]]}]',
      "rigid",
    ),
  ],
)
def test_a_bad_path_is_one_sentence(tmp_path, content, message):
  file = tmp_path / "path.json"
  file.write_text(content)
  with pytest.raises(UserError, match=message):
    read_path(file, 2.0)


@pytest.mark.parametrize(
  "name, value",
  [
    ("elevation", 90.0),
    ("azimuth", math.nan),
    ("fov", 0.0),
    ("distance", 0.0),
    ("path", "circle"),
  ],
)
def test_an_impossible_camera_names_the_flag(name, value):
  with pytest.raises(UserError, match=f"--{name}="):
    Photo(file="a.png", **{name: value}).targets(3)


def test_the_scene_of_a_photo(tmp_path):
  picture = np.full((50, 50, 3), 255, np.uint8)
  picture[10:30, 20:40] = 0
  file = tmp_path / "my chair!.png"
  Image.fromarray(picture).save(file)
  photo = Photo(str(file), azimuth=30.0)
  scene = photo_scene(photo, resolution=16, num_views=3)
  assert scene.given.name == "my_chair" and scene.truth is None
  assert scene.given.hw == (16, 16) and scene.given.images_u8.min() == 0
  np.testing.assert_allclose(
    scene.given.world_from_cam[0], photo.pose(), atol=1e-6
  )
  np.testing.assert_allclose(
    scene.targets.world_from_cam, photo.targets(3), atol=1e-6
  )
  assert scene.index.tolist() == [1, 2, 3]


def test_a_long_name_of_wide_letters_is_cut(tmp_path):
  """File systems limit the 210 bytes of this name, not its 70 letters."""
  picture = np.full((50, 50, 3), 255, np.uint8)
  picture[10:30, 20:40] = 0
  file = tmp_path / f"{'椅' * 70}.png"
  Image.fromarray(picture).save(file)
  name = photo_scene(Photo(str(file)), resolution=16, num_views=1).given.name
  assert name == "椅" * 33
