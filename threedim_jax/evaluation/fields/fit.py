# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits the grids of `consistency-v1` to many objects at once, and renders them.

  fields = fit_fields(
    images_u8, world_from_cam, K,
    config=FieldConfig.for_size(64), num_steps=1000, rng=jax.random.key(0),
  )
  images = render_views(fields, world_from_cam, K, hw=(64, 64))

All objects see the same pixels of the same views with the same random numbers,
so a field does not depend on which others are fitted beside it. Steps run in a
loop on the device; the host only counts them.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt8
import numpy as np
import optax

from threedim_jax.evaluation.fields.box import (
  boxes_from_cameras,
  cameras_in_box,
)
from threedim_jax.evaluation.fields.field import (
  FieldConfig,
  Fields,
  Pyramid,
  activate,
  collapse,
  init_pyramid,
  look_up,
  occupancy,
)
from threedim_jax.evaluation.fields.render import (
  RENDER_SAMPLES,
  composite,
  distortion_loss,
  rays_of_pixels,
  render_pixels,
  sample_edges,
  sample_points,
)

_STEPS_AT_A_TIME = 20


class _State(NamedTuple):
  """Of O objects: every array has a leading O."""

  pyramid: Pyramid
  adam: Any
  cells: Float[Array, "O c c c"]


def fit_fields(
  images_u8: UInt8[np.ndarray, "O V H W 3"],
  world_from_cam: Float[np.ndarray, "O V 4 4"],
  K: Float[np.ndarray, "O V 3 3"],
  *,
  config: FieldConfig,
  num_steps: int,
  rng: Key[Array, ""],
  on_steps: Callable[[int], None] | None = None,
) -> Fields:
  """A field for each object.

  Args:
    images_u8: views over white.
    world_from_cam: OpenCV axes.
    K: in pixels.
    config: settings.
    num_steps: length of the training.
    rng: for pixels and places along rays.
    on_steps: called with the number of steps since its last call.

  Raises:
    UserError: the cameras do not determine where the object is.
  """
  hw = images_u8.shape[2:4]
  center, radius = boxes_from_cameras(world_from_cam, K, hw)
  cams = cameras_in_box(world_from_cam, K, center, radius)
  views = jnp.asarray(images_u8), jax.tree.map(jnp.asarray, cams)
  state = _init(config, len(images_u8))
  for start in range(0, num_steps, _STEPS_AT_A_TIME):
    stop = min(start + _STEPS_AT_A_TIME, num_steps)
    state = _run_steps(state, views, rng, start, stop, num_steps, config=config)
    jax.block_until_ready(state.cells)
    if on_steps is not None:
      on_steps(stop - start)
  grid = jax.jit(jax.vmap(collapse))(state.pyramid)
  return Fields(grid, jnp.asarray(center), jnp.asarray(radius), config)


def _init(config: FieldConfig, num_objects: int) -> _State:
  pyramid = init_pyramid(config.levels)
  adam = _adam().init(pyramid)
  state = _State(pyramid, adam, occupancy(pyramid[-1]))
  return jax.tree.map(
    lambda x: jnp.broadcast_to(x, (num_objects, *x.shape)), state
  )


def _adam() -> optax.GradientTransformation:
  """Steps of about one; times the learning rate."""
  return optax.scale_by_adam(b1=0.9, b2=0.99, eps=1e-15)


@functools.partial(jax.jit, static_argnames="config", donate_argnums=0)
def _run_steps(state, views, rng, start, stop, num_steps, *, config):
  images_u8, cams = views
  num_views, height, width = images_u8.shape[1:4]
  num_pixels = num_views * height * width

  def step(i, state):
    # Outside vmap: with one count for all objects this stays a branch.
    cells = jax.lax.cond(
      i % config.occupancy_every_steps == 0,
      lambda s: jax.vmap(lambda p: occupancy(collapse(p)))(s.pyramid),
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
      pos, dir = rays_of_pixels(cams, pixels, (height, width))
      edges = sample_edges(cells, pos, dir, config.num_coarse, u)

      def loss_fn(pyramid):
        grid = collapse(pyramid)
        out, weights = render_rays(grid, pos, dir, edges)
        loss = jnp.square(out - color).mean()
        distortion = distortion_loss(weights, edges).mean()
        return loss + config.distortion_weight * distortion

      grads = jax.grad(loss_fn)(pyramid)
      updates, adam = _adam().update(grads, adam)
      move = lambda p, u: p - rate * u
      return jax.tree.map(move, pyramid, updates), adam

    pyramid, adam = jax.vmap(one_object)(
      state.pyramid, state.adam, cells, images_u8, cams
    )
    return _State(pyramid, adam, cells)

  return jax.lax.fori_loop(start, stop, step, state)


def render_rays(
  grid: Float[Array, "n n n 4"],
  pos: Float[Array, "R 3"],
  dir: Float[Array, "R 3"],
  edges: Float[Array, "R S1"],
) -> tuple[Float[Array, "R 3"], Float[Array, "R S"]]:
  """(colours over white, weights of the samples) in box coordinates."""
  density, rgb = activate(look_up(grid, sample_points(pos, dir, edges)))
  return composite(density, rgb, edges)


def render_views(
  fields: Fields,
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
    grid, cams = args
    cells = occupancy(grid)

    def show(pos, dir):
      u = jnp.linspace(0, 1, num_samples + 1)[None]
      u = jnp.broadcast_to(u, (len(pos), num_samples + 1))
      edges = sample_edges(cells, pos, dir, num_bins, u)
      return render_rays(grid, pos, dir, edges)[0]

    return render_pixels(show, cams, hw)

  return jax.lax.map(one_object, (fields.grid, cams))
