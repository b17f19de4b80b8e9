# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The box, the grid field and rendering against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from threedim_jax.evaluation.fields import box, field, fit, grid_fit, render
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

TINY = field.FieldConfig(
  levels=(3, 5, 9), num_rays=64, num_coarse=16, num_samples=8
)


def srn_cameras(distance: float) -> tuple[np.ndarray, np.ndarray]:
  """12 poses around the origin, and K of 128 pixels."""
  poses = camera_paths.orbit(12, elevation_deg=30.0, radius=distance)
  K = np.array([[131.25, 0, 64], [0, 131.25, 64], [0, 0, 1.0]])
  return np.float64(poses), np.tile(K, (12, 1, 1))


# ------------------------------------------------------------------- box


@pytest.mark.parametrize(
  ("distance", "center", "width", "radius"),
  [
    (1.3, (0, 0, 0), 128, 0.570),  # SRN's cars
    (2.0, (0, 0, 0), 128, 0.877),  # SRN's chairs
    (1.3, (3.0, -2.0, 0.5), 256, 0.570),  # the height decides
  ],
)
def test_box_of_srn_cameras(distance, center, width, radius):
  poses, K = srn_cameras(distance)
  poses[:, :3, 3] += center
  K[:, 0, 2] = width / 2
  found = box.box_from_cameras(poses, K, (128, width))
  np.testing.assert_allclose(found[0], center, atol=1e-6)
  assert abs(found[1] - radius) < 1e-3


def test_cameras_that_say_nothing_are_refused():
  poses, K = srn_cameras(2.0)
  opengl, parallel = poses.copy(), poses.copy()
  opengl[:, :3, 1:3] *= -1
  parallel[:, :3, :3] = poses[0, :3, :3]
  for spoiled, words in ((opengl, "look away.*OpenGL"), (parallel, "parallel")):
    with pytest.raises(UserError, match=words):
      box.box_from_cameras(spoiled, K, (128, 128))


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
  color, _ = grid_fit.render_rays(grid, pos, dir, edges, TINY)
  alpha = 1 - np.exp(-2 * float(field.density(jnp.float32(1.0))))
  np.testing.assert_allclose(color, alpha * 0.5 + (1 - alpha), atol=1e-5)


def test_rays_past_the_box_show_the_background_and_nothing_else():
  grid = constant_grid(5.0, -9.0)  # black as night
  fields = fit.Fields(
    params=grid[None],
    cells=field.occupancy(grid)[None],
    center=jnp.zeros((1, 3)),
    radius=jnp.ones(1),
    planes=None,
    config=TINY,
  )
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
