# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits fields to posed views of many objects at once.

  fields = fit_fields(
    images_u8, world_from_cam, K,
    config=FieldConfig.for_size(64), num_steps=1000, rng=jax.random.key(0),
  )

All objects see the same pixels of the same views with the same random numbers,
so that a field does not depend on which others are fitted beside it. Steps run
inside one loop on the device; the host only counts them.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8
import numpy as np
import optax

from threedim_jax.evaluation.fields.box import box_from_cameras
from threedim_jax.evaluation.fields.field import (
  FieldConfig,
  Fields,
  Pyramid,
  collapse,
  init_pyramid,
  occupancy,
)
from threedim_jax.evaluation.fields.render import render_rays, sample_edges
from threedim_jax.views.cameras import Camera, cam_from_px

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
    UserError: cameras that say nothing of where the object is.
  """
  hw = images_u8.shape[2:4]
  boxes = [
    box_from_cameras(poses, k, hw)
    for poses, k in zip(world_from_cam, K, strict=True)
  ]
  center = jnp.float32(np.stack([c for c, _ in boxes]))
  radius = jnp.float32([r for _, r in boxes])
  views = jnp.asarray(images_u8), _in_box(world_from_cam, K, center, radius)
  state = _init(config, len(images_u8))
  for start in range(0, num_steps, _STEPS_AT_A_TIME):
    stop = min(start + _STEPS_AT_A_TIME, num_steps)
    state = _run_steps(state, views, rng, start, stop, num_steps, config=config)
    jax.block_until_ready(state.cells)
    if on_steps is not None:
      on_steps(stop - start)
  grid = jax.jit(jax.vmap(collapse))(state.pyramid)
  return Fields(grid, center, radius, config)


def _in_box(world_from_cam, K, center, radius) -> Camera:
  """Cameras [O, V] in coordinates in which the box is [-1, 1]^3."""
  offset = world_from_cam[:, :, :3, 3] - np.float32(center)[:, None]
  poses = np.float32(world_from_cam).copy()
  poses[:, :, :3, 3] = offset / np.float32(radius)[:, None, None]
  return Camera(jnp.asarray(poses), jnp.float32(K))


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
      pos, dir = _rays(cams, pixels, (height, width))
      edges = sample_edges(cells, pos, dir, config.num_coarse, u)

      def loss_fn(pyramid):
        grid = collapse(pyramid)
        out, distortion = render_rays(grid, pos, dir, edges)
        loss = jnp.square(out - color).mean()
        loss += config.distortion_weight * distortion.mean()
        return loss

      grads = jax.grad(loss_fn)(pyramid)
      updates, adam = _adam().update(grads, adam)
      move = lambda p, u: p - rate * u
      return jax.tree.map(move, pyramid, updates), adam

    pyramid, adam = jax.vmap(one_object)(
      state.pyramid, state.adam, cells, images_u8, cams
    )
    return _State(pyramid, adam, cells)

  return jax.lax.fori_loop(start, stop, step, state)


def _rays(
  cams: Camera, pixels: Int[Array, " R"], hw: tuple[int, int]
) -> tuple[Float[Array, "R 3"], Float[Array, "R 3"]]:
  """Rays through pixel centres, counted over all views of [V] cameras."""
  view, pixel = jnp.divmod(pixels, hw[0] * hw[1])
  y, x = jnp.divmod(pixel, hw[1])
  px = jnp.stack([x, y], -1) + 0.5
  pose = cams.world_from_cam[view]
  dir = jax.vmap(cam_from_px)(px, cams.K[view])
  dir = jnp.einsum("rij,rj->ri", pose[:, :3, :3], dir, precision="highest")
  dir /= jnp.linalg.norm(dir, axis=-1, keepdims=True)
  return pose[:, :3, 3], dir
