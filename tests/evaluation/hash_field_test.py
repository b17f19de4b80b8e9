# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The field of `consistency-3dim`: hash grid, losses, and the fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import striped_spheres

from threedim_jax.evaluation.consistency import HELD_OUT_OF_251, PROTOCOLS
from threedim_jax.evaluation.fields import hash_field, hash_fit
from threedim_jax.evaluation.fields.field import look_up
from threedim_jax.evaluation.fields.hash_field import HashFieldConfig

TINY = HashFieldConfig(
  resolutions=(5, 9),
  table_size=2**9,
  num_coarse=16,
  num_samples=8,
  rays_at_a_time=256,
)


def draw(*shape, seed=0, low=-1.0, high=1.0):
  return jnp.float32(np.random.default_rng(seed).uniform(low, high, shape))


def test_a_level_whose_nodes_all_have_a_row_is_a_dense_grid():
  n, points = 6, draw(200, 3, seed=1)
  grid = draw(n, n, n, 4)
  table = jnp.concatenate([grid.reshape(-1, 4), jnp.full((9, 4), 7.0)])
  found = hash_field.interpolate(table, points, n)
  np.testing.assert_allclose(found, look_up(grid, points), atol=1e-5)


def test_a_hash_uses_all_rows_and_nothing_but_rows():
  nodes = jnp.asarray(np.argwhere(np.ones((20,) * 3)), jnp.int32)
  rows = np.asarray(hash_field.row_of_node(nodes, 20, 512))
  assert rows.min() >= 0 and rows.max() < 512
  counts = np.bincount(rows, minlength=512)
  assert counts.min() > 0 and counts.max() < 4 * counts.mean()


def finite_difference(f, x, step=1e-3):
  """Central differences of a scalar function, in float64."""
  grad = np.zeros(x.shape)
  for i in np.ndindex(x.shape):
    up, down = np.array(x, np.float64), np.array(x, np.float64)
    up[i] += step
    down[i] -= step
    grad[i] = (float(f(jnp.float32(up))) - float(f(jnp.float32(down)))) / (
      2 * step
    )
  return grad


def test_gradients_of_the_distortion_loss_are_finite_differences():
  edges = jnp.cumsum(draw(2, 6, low=0.1), axis=-1)
  weights = draw(2, 5, low=0.05, high=0.3)

  def by_definition(w):
    """Mip-NeRF 360, eq. 15, as the double sum."""
    middle, length = (edges[:, 1:] + edges[:, :-1]) / 2, jnp.diff(edges)
    gap = jnp.abs(middle[:, :, None] - middle[:, None])
    pairs = jnp.einsum("ri,rj,rij->", w, w, gap)
    return pairs + jnp.sum(w**2 * length) / 3

  loss = lambda w: hash_field.distortion_loss(w, edges).sum()
  assert float(loss(weights)) == pytest.approx(
    float(by_definition(weights)), rel=1e-5
  )
  np.testing.assert_allclose(
    jax.grad(loss)(weights), finite_difference(loss, weights), atol=2e-3
  )


def test_gradients_of_the_orientation_loss_are_finite_differences():
  dir = draw(3, 3, seed=4)
  dir /= jnp.linalg.norm(dir, axis=-1, keepdims=True)
  normals, weights = draw(3, 4, 3, seed=5), draw(3, 4, seed=6, low=0.0)
  loss = lambda n: hash_field.orientation_loss(weights, n, dir).sum()
  expected = sum(
    float(weights[r, s]) * max(0.0, float(normals[r, s] @ dir[r])) ** 2
    for r in range(3)
    for s in range(4)
  )
  assert float(loss(normals)) == pytest.approx(expected, rel=1e-5)
  np.testing.assert_allclose(
    jax.grad(loss)(normals), finite_difference(loss, normals), atol=2e-3
  )


def test_normals_point_out_of_what_is_dense():
  params = hash_field.init_params(jax.random.key(0), TINY)
  points = draw(5, 3, seed=7, low=-0.8, high=0.8)
  normal = hash_field.normals(params, points, TINY)

  def density(p):
    return hash_field.density_and_geometry(params, p[None], TINY)[0][0]

  for p, n in zip(points, normal, strict=True):
    slope = finite_difference(density, p, step=1e-2)
    assert float(np.dot(slope, n)) <= 0
    assert float(jnp.linalg.norm(n)) == pytest.approx(1.0, abs=1e-2)


@pytest.fixture(scope="module")
def spheres():
  """8x8 views of two objects: images [2, V, 8, 8, 3], poses, K."""
  images_u8, poses, K = striped_spheres.views(12, size=8)
  other = images_u8[:, ::-1, ::-1]
  return (
    np.stack([images_u8, other]),
    np.stack([poses, poses]),
    np.stack([K, K]),
  )


def fit(images_u8, poses, K, num_steps=12):
  return hash_fit.fit_hash_fields(
    images_u8, poses, K,
    config=TINY, num_steps=num_steps, rng=jax.random.key(0),
  )  # fmt: skip


def test_a_field_is_repeatable_and_does_not_depend_on_its_neighbours(spheres):
  both = fit(*spheres)
  alone = fit(*(x[1:] for x in spheres))
  for a, b in zip(
    jax.tree.leaves(both.params), jax.tree.leaves(alone.params), strict=True
  ):
    np.testing.assert_allclose(a[1], b[0], atol=1e-3)


def test_fitting_lowers_the_error(spheres):
  images_u8, poses, K = (x[:1] for x in spheres)

  def error(num_steps):
    fields = fit(images_u8, poses, K, num_steps)
    shown = hash_fit.render_hash_views(fields, poses, K, (8, 8))
    return float(np.mean((np.asarray(shown) - images_u8 / 255) ** 2))

  assert error(60) < 0.5 * error(1)


def test_memory_does_not_grow_with_the_number_of_views(spheres):
  def temporary_bytes(num_views):
    images_u8, poses, K = (
      np.repeat(x[:1], num_views // 12, axis=1) for x in spheres
    )
    views = hash_fit._in_portions(images_u8, hash_fit.Camera(poses, K), TINY)
    params = hash_field.init_params(jax.random.key(0), TINY)
    state = hash_fit._State(
      params,
      hash_fit.make_optimizer().init(params),
      jnp.ones((hash_fit._CELLS,) * 3),
    )
    state = jax.tree.map(lambda x: x[None], state)
    bounds = jnp.ones(1), jnp.full(1, 4.0)
    lowered = hash_fit._run_steps.lower(
      state, views, bounds, jax.random.key(0), 0, 1, config=TINY
    )
    return lowered.compile().memory_analysis().temp_size_in_bytes

  few, many = temporary_bytes(12), temporary_bytes(48)
  assert many < 1.1 * few + 48 * 8 * 8 * 3 * 4  # the pictures themselves


def test_the_held_out_views_are_a_draw_that_is_part_of_the_protocol():
  protocol = PROTOCOLS["consistency-3dim"]
  draw = np.random.default_rng(0).choice(251, 25, replace=False)
  assert HELD_OUT_OF_251 == tuple(np.sort(draw))
  assert tuple(protocol.held_out(251)) == HELD_OUT_OF_251
  assert len(protocol.held_out(100)) == 10
  assert len(protocol.held_out(8)) == 1


def test_names_tell_protocols_and_changes_apart():
  import dataclasses

  paper, ours = PROTOCOLS["consistency-3dim"], PROTOCOLS["consistency-v1"]
  assert ours.name == "consistency-v1"
  assert paper.name.startswith("consistency-3dim-")
  assert dataclasses.replace(ours, fit_given=True).name == (
    "consistency-v1, given view fitted"
  )
  assert dataclasses.replace(paper, num_steps=9).name == (
    f"{paper.name}, 9 steps"
  )
