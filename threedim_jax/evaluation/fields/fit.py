# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits neural fields to the views of many objects, and renders the fields.

  fields = fit_fields(
    images_u8, world_from_cam, K,
    config=FieldConfig.for_size(64), num_steps=1000, rng=jax.random.key(0),
  )
  images = render_views(fields, world_from_cam, K, hw=(64, 64))

The type of `config` chooses the field. `FieldConfig` chooses the grids of
`consistency-v1` (`grid_fit.py`). `HashFieldConfig` chooses the hash grids of
`consistency-3dim` (`hash_fit.py`). All objects are fitted with the same random
numbers, so the field of an object does not depend on the other objects.
Training steps run in a loop on the device; the host only counts them.
"""

from collections.abc import Callable
import functools
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree, UInt8
import numpy as np

from threedim_jax.evaluation.fields import grid_fit, hash_fit
from threedim_jax.evaluation.fields.box import (
  boxes_from_cameras,
  cameras_in_box,
)
from threedim_jax.evaluation.fields.field import FieldConfig
from threedim_jax.evaluation.fields.hash_field import HashFieldConfig
from threedim_jax.evaluation.fields.render import render_pixels, sample_edges

# A render has this many times as many samples per ray as a training step.
RENDER_SAMPLES = 2

_KINDS = {FieldConfig: grid_fit, HashFieldConfig: hash_fit}


@no_type_check  # `jax.tree.map` puts any type into it, see Camera
@flax.struct.dataclass
class Fields:
  """The fitted fields of O objects; every array has a leading axis O.

  Attributes:
    params: grids [O, n, n, n, 4] of raw values along the world's axes x, y, z;
      or the tables and MLPs of hash-grid fields (see `hash_field.join_levels`).
    cells: density in each cell of the cube, per half edge of the cube. The
      value is an upper bound for `FieldConfig`, and an estimate for
      `HashFieldConfig`.
    center: centre of each object's cube, in world units.
    radius: half the edge of each object's cube, in world units.
    planes: distances from a camera at which its rays start and end, in half
      edges of the cube. None: only the cube bounds a ray.
    config: settings that the fields were fitted with.
  """

  params: PyTree
  cells: Float[Array, "O c c c"]
  center: Float[Array, "O 3"]
  radius: Float[Array, " O"]
  planes: Float[Array, "O 2"] | None
  config: FieldConfig | HashFieldConfig = flax.struct.field(pytree_node=False)


def fit_fields(
  images_u8: UInt8[np.ndarray, "O V H W 3"],
  world_from_cam: Float[np.ndarray, "O V 4 4"],
  K: Float[np.ndarray, "O V 3 3"],
  *,
  config: FieldConfig | HashFieldConfig,
  num_steps: int,
  rng: Key[Array, ""],
  on_steps: Callable[[int], None] | None = None,
) -> Fields:
  """Fits O fields, one to the views of each object.

  Args:
    images_u8: V views of each object, on a white background.
    world_from_cam: camera-to-world transforms of the views, in OpenCV axes.
    K: intrinsics of the views, in pixels.
    num_steps: number of training steps. The paper's number is 1000.
    rng: key for the initial parameters, the choice of pixels and the positions
      of samples along rays.
    on_steps: called repeatedly during the fit, with the number of steps done
      since the last call.

  Raises:
    UserError: an object's position cannot be found from its cameras.
  """
  kind = _KINDS[type(config)]
  center, radius = boxes_from_cameras(world_from_cam, K, images_u8.shape[2:4])
  cams = cameras_in_box(world_from_cam, K, center, radius)
  planes = kind.near_and_far(cams.world_from_cam)
  views = jax.tree.map(jnp.asarray, (images_u8, cams, planes))
  state = jax.tree.map(
    lambda x: jnp.broadcast_to(x, (len(images_u8), *x.shape)),
    kind.init_state(images_u8.shape[1:4], config, rng),
  )
  for start in range(0, num_steps, kind.STEPS_AT_A_TIME):
    stop = min(start + kind.STEPS_AT_A_TIME, num_steps)
    state = kind.run_steps(
      state, views, rng, start, stop, num_steps, config=config
    )
    jax.block_until_ready(state)
    if on_steps is not None:
      on_steps(stop - start)
  finish = functools.partial(kind.params_and_cells, config=config)
  params, cells = jax.jit(jax.vmap(finish))(state)
  center, radius = jnp.asarray(center), jnp.asarray(radius)
  return Fields(params, cells, center, radius, views[2], config)


def render_views(
  fields: Fields,
  world_from_cam: Float[Array, "O M 4 4"] | Float[np.ndarray, "O M 4 4"],
  K: Float[Array, "O M 3 3"] | Float[np.ndarray, "O M 3 3"],
  hw: tuple[int, int],
) -> Float[Array, "O M H W 3"]:
  """Renders M views of each object's field, with values in [0, 1].

  Objects are rendered one after the other.

  Args:
    world_from_cam: camera-to-world transforms in OpenCV axes.
    K: intrinsics in pixels.
    hw: height and width of the rendered views.
  """
  cams = cameras_in_box(world_from_cam, K, fields.center, fields.radius)
  return _render_views(fields, jax.tree.map(jnp.asarray, cams), hw)


@functools.partial(jax.jit, static_argnames="hw")
def _render_views(fields, cams, hw):
  config = fields.config
  kind = _KINDS[type(config)]
  num_samples = RENDER_SAMPLES * config.num_samples
  num_bins = RENDER_SAMPLES * config.num_coarse

  def one_object(args):
    params, cells, planes, cams = args

    def show(pos, dir):
      u = jnp.linspace(0, 1, num_samples + 1)[None]
      u = jnp.broadcast_to(u, (len(pos), num_samples + 1))
      edges = sample_edges(cells, pos, dir, num_bins, u, planes)
      return kind.render_rays(params, pos, dir, edges, config)[0]

    return render_pixels(show, cams, hw)

  return jax.lax.map(
    one_object, (fields.params, fields.cells, fields.planes, cams)
  )
