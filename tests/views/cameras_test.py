# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Cameras and rays: what is projected comes back, and one case by hand."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np

from threedim_jax.views import camera_paths
from threedim_jax.views.cameras import (
  Camera,
  cam_from_px,
  px_centers,
  rays_from_camera,
  relative_to_first,
  resize_camera,
  scale_world,
)


def px_from_cam(points, K):
  """Projects points in camera axes, with z > 0, to pixel positions (x, y)."""
  px = jnp.einsum("ij,...j->...i", K, points, precision="highest")
  return px[..., :2] / px[..., 2:]


def cam_from_world(points, world_from_cam):
  """Transforms points from world axes to camera axes."""
  rotation, position = world_from_cam[:3, :3], world_from_cam[:3, 3]
  offset = points - jnp.broadcast_to(position, points.shape)
  return jnp.einsum("ji,...j->...i", rotation, offset, precision="highest")


@st.composite
def cameras(draw) -> Camera:
  """Any rigid pose, an off-centre K with skew and unequal focal lengths."""
  number = lambda low, high: draw(st.floats(low, high, width=32))
  a, b, c = (number(-3.0, 3.0) for _ in range(3))
  # The Cayley map turns any vector into a rotation.
  skew = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
  pose = np.eye(4)
  pose[:3, :3] = np.linalg.solve(np.eye(3) + skew, np.eye(3) - skew)
  pose[:3, 3] = [number(-4.0, 4.0) for _ in range(3)]
  K = np.array(
    [
      [number(4.0, 200.0), number(-2.0, 2.0), number(-8.0, 24.0)],
      [0.0, number(4.0, 200.0), number(-8.0, 24.0)],
      [0.0, 0.0, 1.0],
    ]
  )
  return Camera(jnp.float32(pose), jnp.float32(K))


def look_at_camera(position, resolution: int) -> Camera:
  return Camera(
    jnp.float32(camera_paths.look_at(np.array(position))),
    jnp.float32(camera_paths.default_K(resolution)),
  )


def test_pixel_centres_lie_at_a_half():
  centers = px_centers((2, 3))  # H, W
  assert centers.shape == (2, 3, 2)
  assert centers[0, 0].tolist() == [0.5, 0.5]
  assert centers[1, 2].tolist() == [2.5, 1.5]  # x, y


rays_of_8x4 = jax.jit(lambda camera: rays_from_camera(camera, (4, 8)))


@given(cameras(), st.floats(0.125, 10.0, width=32))
def test_points_on_a_ray_project_to_its_pixel(camera, depth):
  rays = rays_of_8x4(camera)
  np.testing.assert_allclose(np.linalg.norm(rays.dir, axis=-1), 1.0, atol=1e-6)
  # World points in float64 through the textbook projection.
  points = np.float64(rays.pos) + depth * np.float64(rays.dir)
  world_from_cam = np.float64(camera.world_from_cam)
  seen = (
    np.linalg.inv(world_from_cam)[:3]
    @ np.concatenate([points, np.ones((4, 8, 1))], axis=-1).reshape(-1, 4).T
  )
  assert np.all(seen[2] > 0.0), "a ray starts into the picture, not behind it"
  px = np.float64(camera.K) @ seen
  px = (px[:2] / px[2]).T.reshape(4, 8, 2)
  # A direction is wrong by a few roundings, which the focal length enlarges,
  # more so far from the axis.
  scale = np.max(camera.K) * (1.0 + np.max(np.abs(seen[:2] / seen[2]))) ** 2
  np.testing.assert_allclose(px, px_centers((4, 8)), atol=2e-6 * scale)


@jax.jit
def there_and_back(px, K):
  points = cam_from_px(px, K)
  return points, px_from_cam(3.0 * points, K)


@given(
  cameras(),
  hnp.arrays(np.float32, (5, 2), elements=st.floats(-20, 40, width=32)),
)
def test_cam_from_px_and_px_from_cam_are_inverse(camera, px):
  points, back = there_and_back(jnp.asarray(px), camera.K)
  assert points[:, 2].tolist() == [1.0] * 5
  np.testing.assert_allclose(back, px, atol=1e-4)


to_cam = jax.jit(cam_from_world)


@given(
  cameras(),
  hnp.arrays(np.float32, (5, 3), elements=st.floats(-4, 4, width=32)),
)
def test_cam_from_world_inverts_the_pose(camera, points):
  in_cam = to_cam(jnp.asarray(points), camera.world_from_cam)
  pose = np.float64(camera.world_from_cam)
  back = np.float64(in_cam) @ pose[:3, :3].T + pose[:3, 3]
  np.testing.assert_allclose(back, points, atol=1e-5)


def test_a_camera_worked_out_by_hand():
  """From (3, 0, 0) at the origin, z up: forward -x, right +y, down -z."""
  camera = look_at_camera([3.0, 0.0, 0.0], resolution=2)
  expected = [[0, 0, -1, 3], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]]
  np.testing.assert_allclose(camera.world_from_cam, expected, atol=1e-7)
  rays = rays_from_camera(camera, (2, 2))
  f = 131.25 * 2 / 128  # pixels; the four centres are half a pixel off-axis
  corner = np.array([-f, -0.5, 0.5]) / np.sqrt(f**2 + 0.5)
  np.testing.assert_allclose(rays.dir[0, 0], corner, atol=1e-6)
  np.testing.assert_allclose(rays.dir[1, 1], corner * [1, -1, -1], atol=1e-6)
  # What is to the camera's right and below it appears there.
  px = px_from_cam(
    cam_from_world(jnp.array([0.0, 0.6, -0.3]), camera.world_from_cam),
    camera.K,
  )
  np.testing.assert_allclose(px, [1 + f * 0.2, 1 + f * 0.1], rtol=1e-6)


@jax.jit
def directions_at_two_sizes(camera):
  small = resize_camera(camera, 0.5)
  full = cam_from_px(px_centers((4, 8)), camera.K)
  return full, cam_from_px(px_centers((2, 4)), small.K)


@given(cameras())
def test_resizing_keeps_the_field_of_view(camera):
  """A pixel twice as large looks where its four parts look on average."""
  full, half = directions_at_two_sizes(camera)
  mean = np.float64(full).reshape(2, 2, 4, 2, 3).mean(axis=(1, 3))
  np.testing.assert_allclose(half, mean, rtol=1e-4, atol=1e-5)


@given(cameras(), st.floats(0.25, 4.0, width=32))
def test_a_larger_world_gives_the_same_picture(camera, factor):
  points = np.random.default_rng(0).uniform(-1.0, 1.0, (8, 3)) + [0, 0, 6.0]
  points = jnp.float32(points) @ camera.world_from_cam[:3, :3].T
  points += jnp.broadcast_to(camera.world_from_cam[:3, 3], points.shape)
  larger = scale_world(camera, jnp.float32(factor))
  in_cam = cam_from_world(points, camera.world_from_cam)
  in_larger = cam_from_world(points * factor, larger.world_from_cam)
  np.testing.assert_allclose(in_larger, in_cam * factor, atol=1e-4)
  np.testing.assert_array_equal(larger.K, camera.K)


def test_every_camera_has_its_own_factor():
  poses = camera_paths.orbit(2, elevation_deg=20.0, radius=2.0)
  K = np.tile(camera_paths.default_K(8), (2, 1, 1))
  camera = Camera(jnp.float32(poses), jnp.float32(K))
  scaled = scale_world(camera, jnp.array([0.5, 3.0])).world_from_cam
  np.testing.assert_allclose(
    np.linalg.norm(scaled[:, :3, 3], axis=-1), [1.0, 6.0], rtol=1e-6
  )
  np.testing.assert_array_equal(
    scaled[:, :3, :3], camera.world_from_cam[:, :3, :3]
  )


@given(cameras(), cameras())
def test_relative_to_first(first, second):
  both = jax.tree.map(lambda *x: jnp.stack(x), first, second)
  relative = relative_to_first(both)
  a, b = np.float64(both.world_from_cam)
  np.testing.assert_allclose(relative.world_from_cam[0], np.eye(4), atol=1e-5)
  np.testing.assert_allclose(
    relative.world_from_cam[1], np.linalg.inv(a) @ b, atol=2e-5
  )
  np.testing.assert_array_equal(relative.K, both.K)
