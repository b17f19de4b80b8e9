# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits hash fields as 3DiM does (sec. 7.4), and renders them.

  fields = fit_hash_fields(
    images_u8, world_from_cam, K,
    config=HashFieldConfig.for_size(64), num_steps=1000, rng=jax.random.key(0),
  )
  images = render_hash_views(fields, world_from_cam, K, hw=(64, 64))

Every step uses all pixels of all views. A loop goes through their rays in
portions and sums the gradients, so memory does not grow with the number of
views. Rays that cross empty space alone are left out: they are white, and no
parameter can change that. Objects are fitted one after the other in one
program, each with the same random numbers, so a field does not depend on its
neighbours.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8
import numpy as np
import optax

from threedim_jax.evaluation.fields.box import (
  boxes_from_cameras,
  cameras_in_box,
)
from threedim_jax.evaluation.fields.hash_field import (
  HashFieldConfig,
  density_and_geometry,
  init_params,
  join_levels,
  normals,
  orientation_loss,
  query,
)
from threedim_jax.evaluation.fields.render import (
  RENDER_SAMPLES,
  composite,
  distortion_loss,
  occupied_bins,
  rays_of_pixels,
  render_pixels,
  sample_edges,
  sample_points,
)

_STEPS_AT_A_TIME = 10
_CELLS = 32  # of the occupancy grid, along an edge
_OCCUPANCY_DECAY = 0.6  # from one estimate of occupied space to the next
_EMPTY = 0.01  # a ray that less of something covers is taken as white


@no_type_check  # see Camera
@flax.struct.dataclass
class HashFields:
  """Fitted fields of O objects.

  Attributes:
    params: see `hash_field.init_params`; every array has a leading O.
    cells: upper estimate of the density in each cell, per half edge.
    center: of each object's cube, world units.
    radius: half the cube's edge, world units.
    planes: nearest and farthest distance of a ray, half edges of the cube.
    config: the settings of the fit.
  """

  params: PyTree
  cells: Float[Array, "O c c c"]
  center: Float[Array, "O 3"]
  radius: Float[Array, " O"]
  planes: Float[Array, "O 2"]
  config: HashFieldConfig = flax.struct.field(pytree_node=False)


class _State(NamedTuple):
  """Of one object, or of O objects with a leading O in every array."""

  params: PyTree
  adam: Any
  cells: Float[Array, "*o c c c"]
  order: Int[Array, "*o N"]  # pixels: first those whose rays meet something
  num_active: Int[Array, "*o"]  # how many do


def make_optimizer() -> optax.GradientTransformation:
  """3DiM's (sec. 7.4): Adam, weight decay 0.1, clipping to 1, rate to 0.001.

  The paper does not state Adam's constants: these are instant-NGP's.
  """
  schedule = optax.linear_schedule(1e-2, 1e-3, transition_steps=100)
  return optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adamw(schedule, b1=0.9, b2=0.99, eps=1e-15, weight_decay=0.1),
  )


def near_and_far(
  world_from_cam: Float[np.ndarray, "O V 4 4"],
) -> Float[np.ndarray, "O 2"]:
  """3 r_min / 8 and 3 r_max / 2 (3DiM, sec. 7.4) of cameras in box units.

  r is a camera's distance from the centre of the box. The paper takes it from
  the origin and over a data set; here each object has its own.
  """
  r = np.linalg.norm(world_from_cam[:, :, :3, 3], axis=-1)
  return np.stack([3 * r.min(1) / 8, 3 * r.max(1) / 2], -1)


def fit_hash_fields(
  images_u8: UInt8[np.ndarray, "O V H W 3"],
  world_from_cam: Float[np.ndarray, "O V 4 4"],
  K: Float[np.ndarray, "O V 3 3"],
  *,
  config: HashFieldConfig,
  num_steps: int,
  rng: Key[Array, ""],
  on_steps: Callable[[int], None] | None = None,
) -> HashFields:
  """Fits a field to each object's views, all of which lie over white.

  Args:
    images_u8: the views.
    world_from_cam: OpenCV axes.
    K: in pixels.
    config: settings.
    num_steps: length of the fit; the paper's is 1000.
    rng: for the first parameters and the places along rays.
    on_steps: called with the number of steps since its last call.

  Raises:
    UserError: the cameras do not determine where the object is.
  """
  center, radius = boxes_from_cameras(world_from_cam, K, images_u8.shape[2:4])
  cams = cameras_in_box(world_from_cam, K, center, radius)
  planes = near_and_far(cams.world_from_cam)
  views = jax.tree.map(jnp.asarray, (images_u8, cams, planes))
  state = _init(images_u8.shape, config, jax.random.fold_in(rng, 0))
  for start in range(0, num_steps, _STEPS_AT_A_TIME):
    stop = min(start + _STEPS_AT_A_TIME, num_steps)
    state = _run_steps(state, views, rng, start, stop, config=config)
    jax.block_until_ready(state.cells)
    if on_steps is not None:
      on_steps(stop - start)
  return HashFields(
    state.params, state.cells, jnp.asarray(center), jnp.asarray(radius),
    views[2], config,
  )  # fmt: skip


def _init(shape, config: HashFieldConfig, rng) -> _State:
  num_objects, *views, _ = shape
  num_rays = int(np.prod(views))
  params = init_params(rng, config)
  portion = min(config.rays_at_a_time, num_rays)
  state = _State(
    params,
    make_optimizer().init(params),
    jnp.zeros((_CELLS,) * 3),
    jnp.zeros(-(-num_rays // portion) * portion, jnp.int32),
    jnp.int32(0),
  )
  return jax.tree.map(
    lambda x: jnp.broadcast_to(x, (num_objects, *x.shape)), state
  )


@functools.partial(jax.jit, static_argnames="config", donate_argnums=0)
def _run_steps(state, views, rng, start, stop, *, config):
  num_rays = int(np.prod(views[0].shape[1:4]))
  N = min(config.rays_at_a_time, num_rays)

  def one_object(args):
    state, (images_u8, cams, planes) = args
    hw, colors = images_u8.shape[1:3], images_u8.reshape(-1, 3)

    def step(i, state):
      rng_step = jax.random.fold_in(rng, i + 1)
      tables, pull_back = jax.vjp(
        lambda params: join_levels(params, config), state.params
      )
      state = jax.lax.cond(
        i % config.occupancy_every_steps == 0,
        lambda: _find_occupied(
          state, tables, cams, hw, planes, num_rays, rng_step, config
        ),
        lambda: state,
      )

      def add_portion(k, total):
        pixels = jax.lax.dynamic_slice(state.order, (k * N,), (N,))
        weight = (k * N + jnp.arange(N) < state.num_active) / num_rays
        grads = jax.grad(_loss)(
          tables,
          rays_of_pixels(cams, pixels, hw),
          colors[pixels] / 255.0,
          weight,
          state.cells,
          planes,
          i,
          jax.random.fold_in(rng_step, k),
          config,
        )
        return jax.tree.map(jnp.add, total, grads)

      num_portions = (state.num_active + N - 1) // N
      zeros = jax.tree.map(jnp.zeros_like, tables)
      (grads,) = pull_back(
        jax.lax.fori_loop(0, num_portions, add_portion, zeros)
      )
      updates, adam = make_optimizer().update(grads, state.adam, state.params)
      params = optax.apply_updates(state.params, updates)
      return state._replace(params=params, adam=adam)

    return jax.lax.fori_loop(start, stop, step, state)

  return jax.lax.map(one_object, (state, views))


def _loss(
  tables, rays, color, weight, cells, planes, i, rng, config: HashFieldConfig
):
  """The weighted sum over the rays of one portion."""
  pos, dir = rays
  count = config.num_samples + 1
  u = (np.arange(count)[None] + _jitter(rng, (len(pos), count))) / count
  edges = sample_edges(cells, pos, dir, config.num_coarse, u, planes)
  colors, weights, points = _render(tables, pos, dir, edges, config)
  loss = jnp.square(colors - color).mean(-1)
  loss += config.distortion_weight * distortion_loss(weights, edges)
  total = jnp.sum(weight * loss)
  if not config.orientation_weight:
    return total
  every = min(config.orientation_every, len(pos))
  some = (np.arange(len(pos) // every) * every) + i % every
  normal = normals(tables, points[some].reshape(-1, 3), config)
  away = orientation_loss(
    weights[some], normal.reshape(points[some].shape), dir[some]
  )
  scale = config.orientation_weight * every
  return total + scale * jnp.sum(weight[some] * away)


def _jitter(rng, shape):
  return jax.random.uniform(rng, shape)


def _render(tables, pos, dir, edges, config: HashFieldConfig):
  """(colours over white, weights of the samples, their points)."""
  points = sample_points(pos, dir, edges)
  density, rgb = query(tables, points.reshape(-1, 3), config)
  shape = points.shape[:2]
  colors, weights = composite(
    density.reshape(shape), rgb.reshape(*shape, 3), edges
  )
  return colors, weights, points


def _find_occupied(
  state: _State, tables, cams, hw, planes, num_rays, rng, config
) -> _State:
  """Estimates the density of all cells, and which rays meet something.

  Density is looked up at a random point in each eighth of a cell. The estimate
  of a cell that was dense falls by `_OCCUPANCY_DECAY`, not at once.
  """
  index = np.stack(np.meshgrid(*[np.arange(_CELLS)] * 3, indexing="ij"), -1)
  index = jnp.asarray(index.reshape(-1, 3))

  def densities(eighth):
    corner, rng = eighth
    place = index + 0.5 * (corner + jax.random.uniform(rng, index.shape))
    points = place * (2 / _CELLS) - 1
    return density_and_geometry(tables, points, config)[0]

  corners = jnp.float32(list(np.ndindex(2, 2, 2)))[:, None]
  found = jax.lax.map(densities, (corners, jax.random.split(rng, 8))).max(0)
  cells = jnp.maximum(
    found.reshape((_CELLS,) * 3), _OCCUPANCY_DECAY * state.cells
  )

  def meets_something(pixels):
    pos, dir = rays_of_pixels(cams, pixels % num_rays, hw)
    *_, depth = occupied_bins(cells, pos, dir, config.num_coarse, planes)
    return (depth.sum(-1) > _EMPTY) & (pixels < num_rays)

  count = len(state.order)
  pixels = jnp.arange(count).reshape(-1, min(config.rays_at_a_time, num_rays))
  active = jax.lax.map(meets_something, pixels).reshape(-1)
  (order,) = jnp.nonzero(active, size=count, fill_value=0)
  return state._replace(
    cells=cells,
    order=order.astype(jnp.int32),
    num_active=active.sum(dtype=jnp.int32),
  )


def render_hash_views(
  fields: HashFields,
  world_from_cam: Float[Array, "O M 4 4"] | Float[np.ndarray, "O M 4 4"],
  K: Float[Array, "O M 3 3"] | Float[np.ndarray, "O M 3 3"],
  hw: tuple[int, int],
) -> Float[Array, "O M H W 3"]:
  """Views of all objects in [0, 1], one object after the other."""
  cams = cameras_in_box(world_from_cam, K, fields.center, fields.radius)
  return _render_views(fields, jax.tree.map(jnp.asarray, cams), hw)


@functools.partial(jax.jit, static_argnames="hw")
def _render_views(fields, cams, hw):
  config = fields.config
  num_samples = RENDER_SAMPLES * config.num_samples
  num_bins = RENDER_SAMPLES * config.num_coarse

  def one_object(args):
    params, cells, planes, cams = args
    tables = join_levels(params, config)

    def show(pos, dir):
      u = jnp.linspace(0, 1, num_samples + 1)[None]
      u = jnp.broadcast_to(u, (len(pos), num_samples + 1))
      edges = sample_edges(cells, pos, dir, num_bins, u, planes)
      return _render(tables, pos, dir, edges, config)[0]

    return render_pixels(show, cams, hw)

  return jax.lax.map(
    one_object, (fields.params, fields.cells, fields.planes, cams)
  )
