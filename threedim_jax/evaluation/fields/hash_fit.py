# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains hash-grid fields as in 3DiM (sec. 7.4), for the functions in `fit.py`.

Every step uses all pixels of all views. A loop processes a few rays at a time
and sums the gradients, so memory does not grow with the number of views. Rays
that cross only empty space are left out, because they render white and give no
gradient. Objects are fitted one after the other, in a loop on the device. In
box coordinates, the cube around an object is [-1, 1]^3 (see `box`).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree
import numpy as np
import optax

from threedim_jax.evaluation.fields import hash_field, render

STEPS_AT_A_TIME = 10
_CELLS = 32  # along an edge of the occupancy grid
_OCCUPANCY_DECAY = 0.6  # factor from one estimate of occupied space to the next
_EMPTY = 0.01  # a ray with at most this optical depth counts as empty


class State(NamedTuple):
  """The state of one fit, or of O fits if every array has a leading axis O.

  Attributes:
    params: tables and MLPs, see `hash_field.init_params`.
    adam: the state of the Adam optimizer.
    cells: estimate of the highest density in each cell, per half edge of the
      box.
    order: indices of the active pixels among the pixels of all views, padded
      with zeros. A pixel is active if its ray crosses more than empty space.
    num_active: number of active pixels.
  """

  params: PyTree
  adam: Any
  cells: Float[Array, "*o c c c"]
  order: Int[Array, "*o N"]
  num_active: Int[Array, "*o"]


def make_optimizer() -> optax.GradientTransformation:
  """Returns the optimizer that 3DiM uses for its consistency score (sec. 7.4).

  The optimizer is Adam with weight decay 0.1 and gradients clipped to norm 1.
  The learning rate falls from 0.01 to 0.001 in 100 steps. The paper does not
  state Adam's other constants, so we use those of instant-NGP.
  """
  schedule = optax.linear_schedule(1e-2, 1e-3, transition_steps=100)
  return optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adamw(schedule, b1=0.9, b2=0.99, eps=1e-15, weight_decay=0.1),
  )


def near_and_far(
  world_from_cam: Float[np.ndarray, "O V 4 4"],
) -> Float[np.ndarray, "O 2"]:
  """Returns the distances from a camera at which its rays start and end.

  The distances are 3 r_min / 8 and 3 r_max / 2 (3DiM, sec. 7.4). Here r_min and
  r_max are the smallest and the largest distance between the centre of the box
  and the object's cameras. The paper instead measures from the origin, over all
  cameras of a data set.

  Args:
    world_from_cam: camera-to-world transforms in box coordinates.

  Returns:
    (start, end) for each object, in half edges of the object's box.
  """
  r = np.linalg.norm(world_from_cam[:, :, :3, 3], axis=-1)
  return np.stack([3 * r.min(1) / 8, 3 * r.max(1) / 2], -1)


def init_state(
  vhw: tuple[int, int, int], config: hash_field.HashFieldConfig, rng
) -> State:
  """Returns the initial state of one object's fit.

  Args:
    vhw: number V, height H and width W of the object's views.
    rng: key for the initial parameters.
  """
  num_rays = int(np.prod(vhw))
  params = hash_field.init_params(jax.random.fold_in(rng, 0), config)
  portion = min(config.rays_at_a_time, num_rays)
  return State(
    params,
    make_optimizer().init(params),
    jnp.zeros((_CELLS,) * 3),
    jnp.zeros(-(-num_rays // portion) * portion, jnp.int32),
    jnp.int32(0),
  )


@functools.partial(jax.jit, static_argnames="config", donate_argnums=0)
def run_steps(state, views, rng, start, stop, num_steps, *, config):
  """Runs the training steps `start` to `stop` - 1, and returns the new state.

  Args:
    state: the `State` for O objects.
    views: (pictures [O, V, H, W, 3], cameras [O, V] in box coordinates,
      distances [O, 2] from `near_and_far`).
    rng: random key of the whole fit.
    start: number of the first step to run, counted from 0.
    stop: number of the step before which to stop.
    num_steps: number of steps of the whole fit. It is ignored, and is here only
      because `grid_fit.run_steps` needs it.
    config: settings of the field.
  """
  del num_steps  # the optimizer has a schedule of its own
  num_rays = int(np.prod(views[0].shape[1:4]))
  N = min(config.rays_at_a_time, num_rays)

  def one_object(args):
    state, (images_u8, cams, planes) = args
    hw, colors = images_u8.shape[1:3], images_u8.reshape(-1, 3)

    def step(i, state):
      rng_step = jax.random.fold_in(rng, i + 1)
      tables, pull_back = jax.vjp(
        lambda params: hash_field.join_levels(params, config), state.params
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
          render.rays_of_pixels(cams, pixels, hw),
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


def _loss(tables, rays, color, weight, cells, planes, i, rng, config):
  """Returns the weighted sum of the losses of R rays.

  The loss of a ray is its squared colour error, plus the distortion loss and
  the orientation loss, which are scaled by their weights in `config`.

  Args:
    tables: parameters from `hash_field.join_levels`.
    rays: (start [R, 3], unit direction [R, 3]) of the rays, in box coordinates.
    color: true colour [R, 3] of each ray, in [0, 1].
    weight: weight [R] of each ray in the sum.
    cells: estimated density in each cell of the box.
    planes: distances [2] from the camera at which rays start and end.
    i: index of the step, which chooses the rays that get the orientation loss.
    rng: key for the positions of samples along rays.
  """
  pos, dir = rays
  count = config.num_samples + 1
  u = (np.arange(count)[None] + _jitter(rng, (len(pos), count))) / count
  edges = render.sample_edges(cells, pos, dir, config.num_coarse, u, planes)
  colors, weights, points = render_rays(tables, pos, dir, edges, config)
  loss = jnp.square(colors - color).mean(-1)
  loss += config.distortion_weight * render.distortion_loss(weights, edges)
  total = jnp.sum(weight * loss)
  every = min(config.orientation_every, len(pos))
  some = (np.arange(len(pos) // every) * every) + i % every
  normal = hash_field.normals(tables, points[some].reshape(-1, 3), config)
  away = hash_field.orientation_loss(
    weights[some], normal.reshape(points[some].shape), dir[some]
  )
  scale = config.orientation_weight * every
  return total + scale * jnp.sum(weight[some] * away)


def _jitter(rng, shape):
  return jax.random.uniform(rng, shape)


def render_rays(tables, pos, dir, edges, config):
  """Renders R rays through a hash-grid field.

  Args:
    tables: parameters from `hash_field.join_levels`.
    pos: start [R, 3] of each ray, in box coordinates.
    dir: unit direction [R, 3] of each ray.
    edges: boundaries [R, S + 1] of each ray's S samples, as distances along the
      ray.

  Returns:
    (colours [R, 3] over white, weight [R, S] of each sample in its ray's
    colour, midpoint [R, S, 3] of each sample).
  """
  points = render.sample_points(pos, dir, edges)
  density, rgb = hash_field.query(tables, points.reshape(-1, 3), config)
  shape = points.shape[:2]
  colors, weights = render.composite(
    density.reshape(shape), rgb.reshape(*shape, 3), edges
  )
  return colors, weights, points


def _find_occupied(
  state: State, tables, cams, hw, planes, num_rays, rng, config
) -> State:
  """Estimates the density of all cells, and finds rays that meet any density.

  The estimate for a cell is the highest density at eight random points, one in
  each octant of the cell. A new estimate is at least `_OCCUPANCY_DECAY` times
  the previous estimate.

  Returns:
    The state with new `cells`, `order` and `num_active`.
  """
  index = np.stack(np.meshgrid(*[np.arange(_CELLS)] * 3, indexing="ij"), -1)
  index = jnp.asarray(index.reshape(-1, 3))

  def densities(eighth):
    corner, rng = eighth
    place = index + 0.5 * (corner + jax.random.uniform(rng, index.shape))
    points = place * (2 / _CELLS) - 1
    return hash_field.density_and_geometry(tables, points, config)[0]

  corners = jnp.float32(list(np.ndindex(2, 2, 2)))[:, None]
  found = jax.lax.map(densities, (corners, jax.random.split(rng, 8))).max(0)
  cells = jnp.maximum(
    found.reshape((_CELLS,) * 3), _OCCUPANCY_DECAY * state.cells
  )

  def meets_something(pixels):
    pos, dir = render.rays_of_pixels(cams, pixels % num_rays, hw)
    *_, depth = render.occupied_bins(cells, pos, dir, config.num_coarse, planes)
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


def params_and_cells(
  state: State, config: hash_field.HashFieldConfig
) -> tuple[PyTree, Float[Array, "c c c"]]:
  """Returns one object's parameters, and a density estimate for each cell."""
  return hash_field.join_levels(state.params, config), state.cells
