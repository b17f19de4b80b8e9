# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Camera paths against hand-computed poses and the geometry of the sphere."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

coordinate = st.floats(-3, 3)


def elevation_deg(world_from_cam):
  x, y, z = world_from_cam[:, :3, 3].T
  return np.degrees(np.arctan2(z, np.hypot(x, y)))


@given(st.tuples(coordinate, coordinate, coordinate), coordinate)
def test_look_at_is_rigid_upright_and_aimed(position, target_x):
  position, target = np.array(position), np.array([target_x, 0.1, 0.2])
  if np.linalg.norm((position - target)[:2]) < 0.05:
    return  # straight above or below: refused, see the next test
  pose = camera_paths.look_at(position, target)
  R = pose[:3, :3]
  np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-9)
  assert np.linalg.det(R) == pytest.approx(1)
  assert R[2, 0] == pytest.approx(0)  # the horizon is level
  assert R[2, 1] < 0  # the y axis of the picture points down
  cam = R.T @ (target - position)
  np.testing.assert_allclose(
    cam, [0, 0, np.linalg.norm(target - position)], atol=1e-9
  )


def test_a_view_straight_down_is_refused():
  with pytest.raises(UserError, match="straight along"):
    camera_paths.orbit(4, elevation_deg=90, radius=1.0)


def test_orbit():
  poses = camera_paths.orbit(8, elevation_deg=30, radius=2.0)
  np.testing.assert_allclose(poses[0, :3, 3], [3**0.5, 0, 1])
  np.testing.assert_allclose(poses[2, :3, 3], [0, 3**0.5, 1], atol=1e-12)
  np.testing.assert_allclose(elevation_deg(poses), 30)


def test_spiral_rises_evenly_from_horizon_to_pole():
  poses = camera_paths.srn_spiral(251, radius=1.3)
  assert poses.shape == (251, 4, 4)
  np.testing.assert_allclose(np.linalg.norm(poses[:, :3, 3], axis=-1), 1.3)
  elevation = elevation_deg(poses)
  np.testing.assert_allclose(elevation, np.linspace(2, 85, 251))
  azimuth = np.unwrap(np.arctan2(poses[:, 1, 3], poses[:, 0, 3]))
  assert azimuth[-1] - azimuth[0] == pytest.approx(3.2 * 2 * np.pi)
  # Archimedes: the angle from the pole is linear in the azimuth.
  slope = np.diff(elevation) / np.diff(azimuth)
  np.testing.assert_allclose(slope, slope[0])


def test_a_short_spiral_is_one_turn_of_the_same_range():
  assert camera_paths.srn_spiral(1).shape == (1, 4, 4)
  x, y, z = camera_paths.srn_spiral(24, radius=1.0)[:, :3, 3].T
  elevation = np.rad2deg(np.arcsin(z[[0, -1]]))
  np.testing.assert_allclose(elevation, [2.0, 85.0], atol=1e-6)
  azimuth = np.unwrap(np.arctan2(y, x))
  assert abs(azimuth[-1] - azimuth[0] - 2 * np.pi) < 1e-6


def test_random_views_are_uniform_by_area():
  rng = np.random.default_rng(0)
  position = camera_paths.random_views(rng, 20_000, radius=2.0)[:, :3, 3] / 2
  low, high = np.sin(np.radians([2, 85]))
  assert position[:, 2].min() >= low and position[:, 2].max() <= high
  # Uniform in height and in azimuth: each tenth has a tenth of the views.
  for value, span in (
    (position[:, 2], (low, high)),
    (np.arctan2(position[:, 1], position[:, 0]), (-np.pi, np.pi)),
  ):
    share = np.histogram(value, 10, span)[0] / len(value)
    np.testing.assert_allclose(share, 0.1, atol=0.01)


def test_K_moves_with_the_resolution():
  np.testing.assert_array_equal(
    camera_paths.default_K(128), [[131.25, 0, 64], [0, 131.25, 64], [0, 0, 1]]
  )
  np.testing.assert_array_equal(
    camera_paths.default_K(32),
    np.diag([0.25, 0.25, 1]) @ camera_paths.default_K(128),
  )
