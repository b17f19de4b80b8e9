# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The field of `consistency-3dim`: hash grid, losses, and the fit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import striped_spheres

from threedim_jax.evaluation.consistency import HELD_OUT_OF_251, PROTOCOLS
from threedim_jax.evaluation.fields import fit, hash_field, hash_fit, render
from threedim_jax.evaluation.fields.field import look_up
from threedim_jax.evaluation.fields.hash_field import HashFieldConfig
from threedim_jax.views.cameras import Camera

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

  loss = lambda w: render.distortion_loss(w, edges).sum()
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
  tables = hash_field.join_levels(params, TINY)
  points = draw(5, 3, seed=7, low=-0.8, high=0.8)
  normal = hash_field.normals(tables, points, TINY)

  def density(p):
    return hash_field.density_and_geometry(tables, p[None], TINY)[0][0]

  for p, n in zip(points, normal, strict=True):
    slope = finite_difference(density, p, step=1e-2)
    assert float(np.dot(slope, n)) <= 0
    assert float(jnp.linalg.norm(n)) == pytest.approx(1.0, abs=1e-2)


@pytest.fixture(scope="module")
def spheres():
  """8x8 views of one object: images [1, V, 8, 8, 3], poses, K."""
  return [x[None] for x in striped_spheres.views(12, size=8)]


def test_the_loss_of_a_fit_has_all_three_parts():
  """Squared colour error, distortion loss and orientation loss."""
  config = dataclasses.replace(TINY, orientation_every=1)
  tables = hash_field.join_levels(
    hash_field.init_params(jax.random.key(0), TINY), TINY
  )
  count, planes = 6, jnp.float32([0.5, 4.0])
  pos = jnp.tile(jnp.float32([0, 0, -2]), (count, 1))
  dir = jnp.float32([[0, 0, 1]]) + 0.3 * draw(count, 3, seed=1)
  dir /= jnp.linalg.norm(dir, axis=-1, keepdims=True)
  color, weight = draw(count, 3, low=0.0), draw(count, seed=2, low=0.1)
  cells, rng = draw(32, 32, 32, seed=3, low=0.0), jax.random.key(4)

  def loss(distortion, orientation):
    weights = {
      "distortion_weight": distortion,
      "orientation_weight": orientation,
    }
    return hash_fit._loss(
      tables, (pos, dir), color, weight, cells, planes, 0, rng,
      dataclasses.replace(config, **weights),
    )  # fmt: skip

  u = np.arange(TINY.num_samples + 1)[None]
  u = (u + hash_fit._jitter(rng, (count, u.size))) / u.size
  edges = render.sample_edges(cells, pos, dir, TINY.num_coarse, u, planes)
  seen, weights, points = hash_fit.render_rays(tables, pos, dir, edges, TINY)
  normals = hash_field.normals(tables, points.reshape(-1, 3), TINY)
  away = hash_field.orientation_loss(
    weights, normals.reshape(points.shape), dir
  )
  parts = (
    jnp.mean((seen - color) ** 2, -1),
    render.distortion_loss(weights, edges),
    away,
  )
  squares, distortion, orientation = (float(weight @ part) for part in parts)
  assert min(squares, distortion, orientation) > 1e-6
  # Both weights are far above those of the protocol, to be seen beside squares.
  assert float(loss(0.0, 0.0)) == pytest.approx(squares, rel=1e-4)
  assert float(loss(3.0, 0.0)) == pytest.approx(
    squares + 3 * distortion, rel=1e-4
  )
  assert float(loss(0.0, 5.0)) == pytest.approx(
    squares + 5 * orientation, rel=1e-4
  )
  protocol = HashFieldConfig(resolutions=(5,))
  assert min(protocol.distortion_weight, protocol.orientation_weight) > 0


def test_a_step_is_that_of_all_pixels_at_once(spheres):
  """Portions of 64 rays, the last one not full, and one portion of all."""
  images_u8, poses, K = (x[:, :5] for x in spheres)
  images_u8 = images_u8[:, :, :7]
  deterministic = dataclasses.replace(TINY, orientation_every=1)

  def after_one_step(rays_at_a_time, monkeypatch):
    config = dataclasses.replace(deterministic, rays_at_a_time=rays_at_a_time)
    # Without jitter both ways sample the same places.
    middle = lambda rng, shape: jnp.full(shape, 0.5)
    monkeypatch.setattr(hash_fit, "_jitter", middle)
    return fit.fit_fields(
      images_u8, poses, K, config=config, num_steps=1, rng=jax.random.key(0)
    ).params

  fields = fit.fit_fields(
    images_u8,
    poses,
    K,
    config=deterministic,
    num_steps=0,
    rng=jax.random.key(0),
  )
  in_box = fit.cameras_in_box(poses, K, fields.center, fields.radius)
  np.testing.assert_allclose(
    fields.planes, hash_fit.near_and_far(in_box.world_from_cam), rtol=1e-6
  )
  with pytest.MonkeyPatch.context() as monkeypatch:
    jax.clear_caches()
    parts = after_one_step(64, monkeypatch)
    whole = after_one_step(280, monkeypatch)
  jax.clear_caches()
  for a, b in zip(jax.tree.leaves(parts), jax.tree.leaves(whole), strict=True):
    # If a gradient is zero but for rounding, its sign may flip. That is rare.
    assert np.mean(np.abs(a - b) > 1e-4) < 0.02


def test_the_networks_have_the_layers_of_the_paper():
  params = hash_field.init_params(jax.random.key(0), TINY)
  widths = lambda layers: [layer["kernel"].shape for layer in layers]
  assert widths(params["density"]) == [(8, 64), (64, 16)]
  assert widths(params["color"]) == [(15, 64), (64, 64), (64, 3)]


def test_the_optimizer_is_the_paper_s():
  """By hand: a constant gradient makes every step of Adam its rate."""
  assert PROTOCOLS["consistency-3dim"].num_steps == 1000
  optimizer = hash_fit.make_optimizer()
  param = jnp.float32([2.0])
  state = optimizer.init(param)
  steps = []
  for _ in range(102):
    update, state = optimizer.update(jnp.float32([1e3]), state, param)
    steps.append(float(update[0]))
  rates = np.linspace(1e-2, 1e-3, 101)[[0, 50, 100]]
  decayed = -rates * (1 + 0.1 * 2.0)
  np.testing.assert_allclose(np.array(steps)[[0, 50, 100]], decayed, rtol=1e-4)
  assert steps[101] == pytest.approx(steps[100], rel=1e-5)
  # Clipping: of a long gradient only its direction counts.
  clip = lambda length: optimizer.update(
    {"a": jnp.float32([length, 0.0]), "b": jnp.float32([0.01])},
    optimizer.init({"a": jnp.zeros(2), "b": jnp.zeros(1)}),
    {"a": jnp.zeros(2), "b": jnp.zeros(1)},
  )[1]
  mean = clip(100.0)[1][0].mu
  assert float(mean["a"][0]) == pytest.approx(0.1, rel=1e-3)  # (1 - b1) * 1


def test_near_and_far_are_the_paper_s():
  poses = np.tile(np.eye(4, dtype=np.float32), (1, 2, 1, 1))
  poses[0, :, 2, 3] = 2.0, 4.0
  np.testing.assert_allclose(hash_fit.near_and_far(poses), [[0.75, 6.0]])
  pos, dir = jnp.float32([[0, 0, -2.0]]), jnp.float32([[0, 0, 1.0]])
  inside = render.distances_in_box(pos, dir, jnp.float32([1.5, 2.5]))
  np.testing.assert_allclose(inside, [[1.5, 2.5]])


def first_state(num_views):
  return hash_fit.init_state((num_views, 8, 8), TINY, jax.random.key(0))


def test_memory_does_not_grow_with_the_number_of_views(spheres):
  def temporary_bytes(num_views):
    views = [np.repeat(x, num_views // 12, axis=1) for x in spheres]
    images_u8, poses, K = views
    arguments = jax.tree.map(
      jnp.asarray, (images_u8, Camera(poses, K), np.float32([[0.5, 4.0]]))
    )
    state = first_state(num_views)
    lowered = hash_fit.run_steps.lower(
      jax.tree.map(lambda x: x[None], state),
      arguments, jax.random.key(0), 0, 1, 1, config=TINY,
    )  # fmt: skip
    return lowered.compile().memory_analysis().temp_size_in_bytes

  few, many = temporary_bytes(12), temporary_bytes(96)
  pictures_and_order = 84 * 8 * 8 * (3 * 4 + 8)
  assert many < 1.1 * few + pictures_and_order


def test_rays_through_empty_space_are_left_out_and_change_nothing(spheres):
  """All rays of an empty scene are left out; none of a full scene is."""
  _, poses, K = spheres
  cams = Camera(jnp.asarray(poses[0]), jnp.asarray(K[0]))

  def state_of(density):
    state = first_state(12)
    tables = hash_field.join_levels(state.params, TINY)
    last = tables["density"][1]
    last["bias"] = last["bias"].at[0].set(density)
    return hash_fit._find_occupied(
      state, tables, cams, (8, 8), jnp.float32([0.1, 9.0]), 12 * 64,
      jax.random.key(0), TINY,
    )  # fmt: skip

  empty, full = state_of(-30.0), state_of(3.0)
  assert int(empty.num_active) == 0
  pos, dir = render.rays_of_pixels(cams, jnp.arange(768), (8, 8))
  near, far = np.asarray(
    render.distances_in_box(pos, dir, jnp.float32([0.1, 9.0]))
  ).T
  meets_box = np.flatnonzero(far - near > 1e-2)
  active = np.asarray(full.order[: int(full.num_active)])
  assert set(meets_box) <= set(active)
  assert len(active) == len(set(active))


def test_the_held_out_views_are_a_draw_that_is_part_of_the_protocol():
  protocol = PROTOCOLS["consistency-3dim"]
  draw = np.random.default_rng(0).choice(251, 25, replace=False)
  assert HELD_OUT_OF_251 == tuple(np.sort(draw))
  assert tuple(protocol.held_out(251)) == HELD_OUT_OF_251
  # The same views are held out if the given one is not among the views.
  numbers = np.delete(np.arange(251), 64)
  assert 64 not in HELD_OUT_OF_251
  assert tuple(numbers[protocol.held_out(250)]) == HELD_OUT_OF_251
  assert len(protocol.held_out(100)) == 10
  assert len(protocol.held_out(8)) == 1


def test_names_tell_protocols_and_changes_apart():
  paper, ours = PROTOCOLS["consistency-3dim"], PROTOCOLS["consistency-v1"]
  assert ours.name == "consistency-v1"
  assert paper.name.startswith("consistency-3dim-")
  assert dataclasses.replace(ours, fit_given=True).name == (
    "consistency-v1, given view fitted"
  )
  assert dataclasses.replace(paper, num_steps=9).name == (
    f"{paper.name}, 9 steps"
  )
