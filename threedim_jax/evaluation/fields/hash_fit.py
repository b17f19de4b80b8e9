# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits hash fields as 3DiM does (sec. 7.4), and renders them.

  fields = fit_hash_fields(
    images_u8, world_from_cam, K,
    config=HashFieldConfig.for_size(64), num_steps=1000, rng=jax.random.key(0),
  )
  images = render_hash_views(fields, world_from_cam, K, hw=(64, 64))

Every step uses all pixels of all views. A scan goes through them in portions of
whole views and sums the gradients, so that memory does not grow with the number
of views. Objects are fitted one after the other in one program, each with the
same random numbers: a field does not depend on its neighbours.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree, UInt8
import numpy as np
import optax

from threedim_jax.evaluation.fields.box import box_from_cameras
from threedim_jax.evaluation.fields.hash_field import (
  HashFieldConfig,
  density_and_geometry,
  distortion_loss,
  init_params,
  normals,
  orientation_loss,
  query,
)
from threedim_jax.evaluation.fields.render import sample_edges
from threedim_jax.views.cameras import Camera, rays_from_camera

_STEPS_AT_A_TIME = 10
_CELLS = 32  # of the occupancy grid, along an edge
_OCCUPANCY_DECAY = 0.9  # an emptied cell is forgotten in some tens of steps


@no_type_check  # see Camera
@flax.struct.dataclass
class HashFields:
  """Fitted fields of O objects.

  Attributes:
    params: see `hash_field.init_params`; every array has a leading O.
    cells: upper estimate of the density in each cell, per half edge.
    center: of each object's cube, world units.
    radius: half the cube's edge, world units.
    near, far: of the rays, half edges of the cube.
    config: the settings of the fit.
  """

  params: PyTree
  cells: Float[Array, "O c c c"]
  center: Float[Array, "O 3"]
  radius: Float[Array, " O"]
  near: Float[Array, " O"]
  far: Float[Array, " O"]
  config: HashFieldConfig = flax.struct.field(pytree_node=False)


class _State(NamedTuple):
  """Of O objects: every array has a leading O."""

  params: PyTree
  adam: Any
  cells: Float[Array, "O c c c"]


def make_optimizer() -> optax.GradientTransformation:
  """Adam with weight decay, clipping and warm-down of 3DiM (sec. 7.4)."""
  schedule = optax.linear_schedule(1e-2, 1e-3, transition_steps=100)
  return optax.chain(
    optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.1)
  )


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
    UserError: the cameras do not say where the object is.
  """
  hw = images_u8.shape[2:4]
  boxes = [
    box_from_cameras(poses, k, hw)
    for poses, k in zip(world_from_cam, K, strict=True)
  ]
  center = np.float32([c for c, _ in boxes])
  radius = np.float32([r for _, r in boxes])
  eyes = (world_from_cam[:, :, :3, 3] - center[:, None]) / radius[:, None, None]
  distance = np.linalg.norm(eyes, axis=-1)
  near, far = 3 * distance.min(1) / 8, 3 * distance.max(1) / 2
  views = _in_portions(images_u8, _in_box(world_from_cam, K, center, radius),
                       config)  # fmt: skip
  params = init_params(jax.random.fold_in(rng, 0), config)
  state = _State(
    params, make_optimizer().init(params), jnp.full((_CELLS,) * 3, 1.0)
  )
  count = len(images_u8)
  state = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), state)
  bounds = jnp.float32(near), jnp.float32(far)
  for start in range(0, num_steps, _STEPS_AT_A_TIME):
    stop = min(start + _STEPS_AT_A_TIME, num_steps)
    state = _run_steps(state, views, bounds, rng, start, stop, config=config)
    jax.block_until_ready(state.cells)
    if on_steps is not None:
      on_steps(stop - start)
  return HashFields(
    state.params,
    state.cells,
    jnp.asarray(center),
    jnp.asarray(radius),
    *bounds,
    config,
  )


def _in_box(world_from_cam, K, center, radius) -> Camera:
  """Cameras [O, V] in coordinates in which the box is [-1, 1]^3."""
  poses = np.float32(world_from_cam).copy()
  offset = poses[:, :, :3, 3] - center[:, None]
  poses[:, :, :3, 3] = offset / radius[:, None, None]
  return Camera(poses, np.float32(K))


def _in_portions(images_u8, cams: Camera, config: HashFieldConfig):
  """Cuts V views into P portions of N.

  Returns:
    Pictures and cameras [O, P, N, ...], and weights [P, N]: 0 for the views
    that only fill the last portion, 1 for all others.
  """
  num_objects, num_views, H, W, _ = images_u8.shape
  N = min(max(1, config.rays_at_a_time // (H * W)), num_views)
  P = -(-num_views // N)
  index = np.arange(P * N) % num_views
  weight = np.float32(np.arange(P * N) < num_views).reshape(P, N)

  def portions(x):
    return jnp.asarray(x[:, index].reshape(num_objects, P, N, *x.shape[2:]))

  return portions(images_u8), jax.tree.map(portions, cams), jnp.asarray(weight)


def render_samples(
  params: PyTree,
  pos: Float[Array, "R 3"],
  dir: Float[Array, "R 3"],
  edges: Float[Array, "R S1"],
  config: HashFieldConfig,
) -> tuple[Float[Array, "R 3"], Float[Array, "R S"], Float[Array, "R S 3"]]:
  """(colours over white, weights of the samples, their points)."""
  R, S = edges.shape[0], edges.shape[1] - 1
  length = jnp.diff(edges, axis=-1)
  middle = edges[:, :-1] + 0.5 * length
  points = pos[:, None] + middle[..., None] * dir[:, None]
  density, rgb = query(params, points.reshape(R * S, 3), config)
  depth = density.reshape(R, S) * length
  arrives = jnp.exp(-(jnp.cumsum(depth, axis=-1) - depth))
  weights = arrives * (1 - jnp.exp(-depth))
  white = 1 - weights.sum(-1, keepdims=True)
  colors = jnp.sum(weights[..., None] * rgb.reshape(R, S, 3), axis=-2) + white
  return colors, weights, points


def _edges(cells, pos, dir, near, far, u, num_bins):
  """Distances at which the share `u` of occupied space between the planes."""
  edges = sample_edges(cells, pos, dir, num_bins, u)
  return jnp.clip(edges, near, far)


def _losses(params, view, rng, cells, near, far, config: HashFieldConfig):
  """The sum over the rays of one portion of views."""
  images_u8, cams, weight = view
  hw = images_u8.shape[1:3]
  rays = jax.vmap(lambda cam: rays_from_camera(cam, hw))(cams)
  pos, dir = (x.reshape(-1, 3) for x in (rays.pos, rays.dir))
  color = images_u8.reshape(-1, 3) / 255.0
  weight = jnp.repeat(weight, hw[0] * hw[1])
  count = config.num_samples + 1
  u = jax.random.uniform(rng, (len(pos), count))
  u = (np.arange(count)[None] + u) / count
  edges = _edges(cells, pos, dir, near, far, u, config.num_coarse)
  colors, weights, points = render_samples(params, pos, dir, edges, config)
  loss = jnp.square(colors - color).mean(-1)
  loss += config.distortion_weight * distortion_loss(weights, edges)
  some = slice(None, None, config.orientation_every)
  facing = points[some]
  normal = normals(params, facing.reshape(-1, 3), config)
  orientation = orientation_loss(
    weights[some], normal.reshape(facing.shape), dir[some]
  )
  return jnp.sum(weight * loss) + (
    config.orientation_weight
    * config.orientation_every
    * jnp.sum(weight[some] * orientation)
  )


@functools.partial(jax.jit, static_argnames="config", donate_argnums=0)
def _run_steps(state, views, bounds, rng, start, stop, *, config):
  images_u8, cams, weight = views
  num_rays = weight.sum() * images_u8.shape[3] * images_u8.shape[4]

  def one_object(args):
    state, images_u8, cams, near, far = args

    def step(i, state):
      rng_step = jax.random.fold_in(rng, i + 1)
      cells = jax.lax.cond(
        i % config.occupancy_every_steps == 0,
        lambda: _new_cells(state, rng_step, config),
        lambda: state.cells,
      )

      def add_portion(total, portion):
        k, view = portion
        grads = jax.grad(_losses)(
          state.params,
          view,
          jax.random.fold_in(rng_step, k),
          cells,
          near,
          far,
          config,
        )
        return jax.tree.map(jnp.add, total, grads), None

      zero = jax.tree.map(jnp.zeros_like, state.params)
      portions = jnp.arange(len(weight)), (images_u8, cams, weight)
      grads, _ = jax.lax.scan(add_portion, zero, portions)
      grads = jax.tree.map(lambda g: g / num_rays, grads)
      updates, adam = make_optimizer().update(grads, state.adam, state.params)
      return _State(optax.apply_updates(state.params, updates), adam, cells)

    return jax.lax.fori_loop(start, stop, step, state)

  near, far = bounds
  return jax.lax.map(one_object, (state, images_u8, cams, near, far))


def _new_cells(state: _State, rng, config: HashFieldConfig):
  """Density at a random point of every cell, or the decayed old estimate."""
  index = np.stack(np.meshgrid(*[np.arange(_CELLS)] * 3, indexing="ij"), -1)
  place = index.reshape(-1, 3) + jax.random.uniform(rng, (_CELLS**3, 3))
  points = place * (2 / _CELLS) - 1
  found, _ = density_and_geometry(state.params, points, config)
  found = found.reshape((_CELLS,) * 3)
  return jnp.maximum(found, _OCCUPANCY_DECAY * state.cells)


def render_hash_views(
  fields: HashFields,
  world_from_cam: Float[Array, "O M 4 4"] | Float[np.ndarray, "O M 4 4"],
  K: Float[Array, "O M 3 3"] | Float[np.ndarray, "O M 3 3"],
  hw: tuple[int, int],
) -> Float[Array, "O M H W 3"]:
  """Views of all objects in [0, 1], one view after the other."""
  cams = _in_box(
    np.asarray(world_from_cam),
    np.asarray(K),
    np.asarray(fields.center),
    np.asarray(fields.radius),
  )
  return _render_views(fields, jax.tree.map(jnp.asarray, cams), hw)


@functools.partial(jax.jit, static_argnames="hw")
def _render_views(fields, cams, hw):
  config = fields.config

  def one_object(args):
    params, cells, near, far, cams = args

    def one_view(cam):
      rays = rays_from_camera(cam, hw)
      pos, dir = (x.reshape(-1, 3) for x in (rays.pos, rays.dir))
      u = jnp.linspace(0, 1, 2 * config.num_samples + 1)[None]
      u = jnp.broadcast_to(u, (len(pos), u.shape[1]))
      edges = _edges(cells, pos, dir, near, far, u, 2 * config.num_coarse)
      colors, _, _ = render_samples(params, pos, dir, edges, config)
      return jnp.clip(colors, 0, 1).reshape(*hw, 3)

    return jax.lax.map(one_view, cams)

  return jax.lax.map(
    one_object, (fields.params, fields.cells, fields.near, fields.far, cams)
  )
