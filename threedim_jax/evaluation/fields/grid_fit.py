# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains the grids of `consistency-v1`, for the functions in `fit.py`.

A step uses the same random pixels of the same views for all objects. In box
coordinates, the cube around an object is [-1, 1]^3 (see `box`).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np
import optax

from threedim_jax.evaluation.fields import field, render

STEPS_AT_A_TIME = 20


class State(NamedTuple):
  """The state of one fit, or of O fits if every array has a leading axis O.

  Attributes:
    pyramid: the grids, coarse to fine.
    adam: the state of the Adam optimizer.
    cells: upper bound of the density in each cell, per half edge of the box.
  """

  pyramid: field.Pyramid
  adam: Any
  cells: Float[Array, "*o c c c"]


def near_and_far(world_from_cam: Float[np.ndarray, "O V 4 4"]) -> None:
  """Returns None, because only the box bounds the rays of this field.

  For the other kind of field, `hash_fit.near_and_far` returns two distances.
  """
  del world_from_cam


def init_state(
  vhw: tuple[int, int, int], config: field.FieldConfig, rng
) -> State:
  """Returns the initial state of a fit, which is the same for all objects.

  The arguments `vhw` (number, height and width of the views) and `rng` are not
  used.
  """
  del vhw, rng
  pyramid = field.init_pyramid(config.levels)
  return State(pyramid, _adam().init(pyramid), field.occupancy(pyramid[-1]))


def _adam() -> optax.GradientTransformation:
  """Returns Adam without a learning rate.

  `run_steps` multiplies Adam's updates by the learning rate.
  """
  return optax.scale_by_adam(b1=0.9, b2=0.99, eps=1e-15)


@functools.partial(jax.jit, static_argnames="config", donate_argnums=0)
def run_steps(state, views, rng, start, stop, num_steps, *, config):
  """Runs the training steps `start` to `stop` - 1, and returns the new state.

  Args:
    state: `State` of the fits of O objects.
    views: (pictures [O, V, H, W, 3], cameras [O, V] in box coordinates, None
      from `near_and_far`).
    rng: random key of the whole fit.
    start: number of the first step to run, counted from 0.
    stop: number of the step before which to stop.
    num_steps: number of steps of the whole fit. The learning rate falls over
      these steps.
    config: settings of the field.
  """
  images_u8, cams, _ = views
  num_views, height, width = images_u8.shape[1:4]
  num_pixels = num_views * height * width

  def bound_density(pyramid):
    return field.occupancy(field.collapse(pyramid))

  def step(i, state):
    # All objects share the step count. Outside vmap, `cond` stays a branch.
    cells = jax.lax.cond(
      i % config.occupancy_every_steps == 0,
      lambda s: jax.vmap(bound_density)(s.pyramid),
      lambda s: s.cells,
      state,
    )
    rng_pixels, rng_u = jax.random.split(jax.random.fold_in(rng, i))
    pixels = jax.random.randint(rng_pixels, (config.num_rays,), 0, num_pixels)
    count = config.num_samples + 1
    u = jax.random.uniform(rng_u, (config.num_rays, count))
    u = (np.arange(count)[None] + u) / count
    decay = config.final_learning_rate / config.learning_rate
    rate = config.learning_rate * decay ** (i / num_steps)

    def one_object(pyramid, adam, cells, images_u8, cams):
      color = images_u8.reshape(-1, 3)[pixels] / 255.0
      pos, dir = render.rays_of_pixels(cams, pixels, (height, width))
      edges = render.sample_edges(cells, pos, dir, config.num_coarse, u)

      def loss_fn(pyramid):
        grid = field.collapse(pyramid)
        out, weights = render_rays(grid, pos, dir, edges, config)
        loss = jnp.square(out - color).mean()
        distortion = render.distortion_loss(weights, edges).mean()
        return loss + config.distortion_weight * distortion

      grads = jax.grad(loss_fn)(pyramid)
      updates, adam = _adam().update(grads, adam)
      pyramid = jax.tree.map(lambda p, u: p - rate * u, pyramid, updates)
      return pyramid, adam

    pyramid, adam = jax.vmap(one_object)(
      state.pyramid, state.adam, cells, images_u8, cams
    )
    return State(pyramid, adam, cells)

  return jax.lax.fori_loop(start, stop, step, state)


def params_and_cells(
  state: State, config: field.FieldConfig
) -> tuple[Float[Array, "n n n 4"], Float[Array, "c c c"]]:
  """Returns an object's fitted grid, and a density bound for each cell."""
  del config
  grid = field.collapse(state.pyramid)
  return grid, field.occupancy(grid)


def render_rays(
  grid: Float[Array, "n n n 4"],
  pos: Float[Array, "R 3"],
  dir: Float[Array, "R 3"],
  edges: Float[Array, "R S1"],
  config: field.FieldConfig,
) -> tuple[Float[Array, "R 3"], Float[Array, "R S"]]:
  """Renders R rays through a grid.

  Args:
    pos: start of each ray, in box coordinates.
    dir: unit direction of each ray.
    edges: boundaries of each ray's S samples, as distances along the ray.
    config: not used.

  Returns:
    (colours of the rays over white, weight of each sample in its ray's colour).
  """
  del config
  points = render.sample_points(pos, dir, edges)
  density, rgb = field.activate(field.look_up(grid, points))
  return render.composite(density, rgb, edges)
