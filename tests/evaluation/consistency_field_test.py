# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The field's parts against closed forms, and what a fit may depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
import striped_spheres

from threedim_jax.evaluation.fields import box, field, fit, render
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

TINY = field.FieldConfig(
  levels=(3, 5, 9), num_rays=64, num_coarse=16, num_samples=8
)


def poses_at(center, distance: float, num: int = 12) -> np.ndarray:
  eyes = camera_paths.orbit(num, elevation_deg=30.0, radius=distance)[:, :3, 3]
  looks = [camera_paths.look_at(eye, np.zeros(3)) for eye in eyes]
  poses = np.stack(looks).astype(np.float64)
  poses[:, :3, 3] += center
  return poses


def intrinsics(num: int, f=131.25, size=128) -> np.ndarray:
  K = np.array([[f, 0, size / 2], [0, f, size / 2], [0, 0, 1.0]])
  return np.tile(K, (num, 1, 1))


# ------------------------------------------------------------------- box


@pytest.mark.parametrize(
  ("distance", "radius"), [(1.3, 0.570), (2.0, 0.877)], ids=["cars", "chairs"]
)
def test_box_of_srn_cameras(distance, radius):
  found = box.box_from_cameras(
    poses_at([0, 0, 0], distance), intrinsics(12), (128, 128)
  )
  np.testing.assert_allclose(found[0], 0, atol=1e-6)
  assert abs(found[1] - radius) < 1e-3


def test_box_of_a_scene_elsewhere_and_of_wide_pictures():
  center = [3.0, -2.0, 0.5]
  K = intrinsics(12)
  K[:, 0, 2] = 128  # 256 wide: the height decides
  found = box.box_from_cameras(poses_at(center, 1.3), K, (128, 256))
  np.testing.assert_allclose(found[0], center, atol=1e-6)
  assert abs(found[1] - 0.570) < 1e-3


def spoiled(change):
  poses, K = poses_at([0, 0, 0], 2.0), intrinsics(12)
  change(poses, K)
  return poses, K


def look_away(poses, K):
  poses[:, :3, 1:3] *= -1  # OpenGL's axes


def look_parallel(poses, K):
  poses[:, :3, :3] = poses[0, :3, :3]


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (look_away, "look away.*OpenGL"),
    (look_parallel, "parallel"),
  ],
)
def test_cameras_that_say_nothing_are_refused(change, message):
  with pytest.raises(UserError, match=message):
    box.box_from_cameras(*spoiled(change), (128, 128))


# ----------------------------------------------------------------- field


def test_look_up_is_trilinear_and_so_is_its_gradient():
  rng = np.random.default_rng(0)
  grid = rng.standard_normal((6, 6, 6, 4)).astype(np.float32)
  points = rng.uniform(-1, 1, (40, 5, 3)).astype(np.float32)
  found = field.look_up(jnp.asarray(grid), jnp.asarray(points))
  at = np.moveaxis((points.astype(np.float64) + 1) * 2.5, -1, 0)
  for c in range(4):
    expected = ndimage.map_coordinates(
      grid[..., c].astype(np.float64), at, order=1, mode="nearest"
    )
    np.testing.assert_allclose(found[..., c], expected, atol=2e-5)
  # Linear in the grid: the gradient of a sum is the weight of every node.
  total = lambda grid: field.look_up(grid, jnp.asarray(points)).sum()
  gradient = jax.grad(total)(jnp.asarray(grid))
  assert abs(float(gradient[..., 0].sum()) - 200) < 1e-3
  np.testing.assert_allclose(
    float(jnp.sum(gradient * grid)), float(total(jnp.asarray(grid))), rtol=1e-4
  )


def test_a_coarse_level_means_the_same_after_collapsing():
  rng = np.random.default_rng(1)
  pyramid = [
    jnp.asarray(rng.standard_normal((n, n, n, 4)), jnp.float32)
    for n in (3, 5, 9)
  ]
  points = jnp.asarray(rng.uniform(-1, 1, (50, 3)), jnp.float32)
  expected = sum(field.look_up(level, points) for level in pyramid)
  found = field.look_up(field.collapse(pyramid), points)
  np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("n", [9, 33, 65])
def test_occupancy_bounds_the_density_inside(n):
  rng = np.random.default_rng(2)
  grid = jnp.asarray(rng.standard_normal((n, n, n, 4)), jnp.float32)
  cells = field.occupancy(grid)
  assert len(cells) <= 32
  points = jnp.asarray(rng.uniform(-1, 1, (2000, 3)), jnp.float32)
  inside = field.density(field.look_up(grid, points)[..., 0])
  at = np.minimum((np.asarray(points) + 1) * 0.5 * len(cells), len(cells) - 1)
  bound = np.asarray(cells)[tuple(at.astype(int).T)]
  assert (np.asarray(inside) <= bound * 1.001 + 1e-4).all()


def constant_grid(density_raw: float, color_raw: float):
  grid = np.full((5, 5, 5, 4), color_raw, np.float32)
  grid[..., 0] = density_raw
  return jnp.asarray(grid)


def test_fog_of_known_density_absorbs_what_it_should():
  grid = constant_grid(1.0, 0.0)
  pos, dir = jnp.array([[0.0, 0.0, -3.0]]), jnp.array([[0.0, 0.0, 1.0]])
  edges = jnp.linspace(2.0, 4.0, 33)[None]
  color, _ = fit.render_rays(grid, pos, dir, edges)
  alpha = 1 - np.exp(-2 * float(field.density(jnp.float32(1.0))))
  np.testing.assert_allclose(color, alpha * 0.5 + (1 - alpha), atol=1e-5)


def test_rays_past_the_box_show_the_background_and_nothing_else():
  grid = constant_grid(5.0, -9.0)[None]  # black as night
  fields = field.Fields(grid, jnp.zeros((1, 3)), jnp.ones(1), TINY)
  pose = camera_paths.look_at(np.array([0, -8.0, 0]), np.zeros(3))
  K = np.float32([[16, 0, 8], [0, 16, 8], [0, 0, 1]])
  image = fit.render_views(
    fields, np.float32(pose)[None, None], K[None, None], (16, 16)
  )[0, 0]
  assert float(image[8, 8].max()) < 0.01
  assert (np.asarray(image[0]) == 1.0).all()
  assert (np.asarray(image[:, -1]) == 1.0).all()


def test_samples_lie_where_something_is():
  """A slab in one eighth of the ray gets most of the samples."""
  cells = np.zeros((8, 8, 8), np.float32)
  cells[:, :, 5] = 100.0
  pos, dir = jnp.array([[0.0, 0.0, -3.0]]), jnp.array([[0.0, 0.0, 1.0]])
  u = jnp.linspace(0, 1, 33)[None]
  edges = np.asarray(render.sample_edges(jnp.asarray(cells), pos, dir, 64, u))
  assert (np.diff(edges[0]) > 0).all()
  np.testing.assert_allclose(edges[0, [0, -1]], [2.0, 4.0], atol=1e-4)
  inside = (edges[0] > 3.25) & (edges[0] < 3.5)
  assert inside.sum() > 0.7 * 33


# ------------------------------------------------------------------- fit


@pytest.fixture(scope="module")
def views():
  """Two objects: the spheres, and the same in other colours."""
  images_u8, poses, K = striped_spheres.views(10, size=16)
  pair = np.stack([images_u8, images_u8[..., ::-1]])
  twice = lambda x: np.stack([x, x])
  return pair, twice(poses), twice(K)


def fitted(views, num_steps=12, key=0, **kwargs):
  return fit.fit_fields(
    *views, config=TINY, num_steps=num_steps, rng=jax.random.key(key), **kwargs
  )


def test_a_field_does_not_depend_on_its_neighbours(views):
  together = fitted(views)
  for i in range(2):
    alone = fitted([x[i : i + 1] for x in views])
    np.testing.assert_allclose(together.grid[i], alone.grid[0], atol=2e-3)
  assert float(jnp.abs(together.grid[0] - together.grid[1]).max()) > 0.1


def test_the_same_key_gives_the_same_field(views):
  first = fitted(views)
  np.testing.assert_array_equal(first.grid, fitted(views).grid)
  assert float(jnp.abs(first.grid - fitted(views, key=1).grid).max()) > 1e-3


def test_steps_are_counted_and_their_portions_do_not_matter(views, monkeypatch):
  counted = []
  whole = fitted(views, on_steps=counted.append)
  assert sum(counted) == 12
  monkeypatch.setattr(fit, "_STEPS_AT_A_TIME", 5)
  counted.clear()
  parts = fitted(views, on_steps=counted.append)
  assert counted == [5, 5, 2]
  np.testing.assert_array_equal(whole.grid, parts.grid)


def test_density_on_the_grid_is_per_world_unit(views):
  fields = fitted(views)
  density, rgb = field.on_grid(fields, 1)
  assert density.shape == (9, 9, 9) and rgb.shape == (9, 9, 9, 3)
  raw = np.asarray(fields.grid[1, 4, 4, 4])
  expected = 25 * np.log1p(np.exp(2 * raw[0] - 5)) / float(fields.radius[1])
  np.testing.assert_allclose(density[4, 4, 4], expected, rtol=1e-4)
  assert 0 <= rgb.min() and rgb.max() <= 1
