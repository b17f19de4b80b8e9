# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Volume rendering of fields over white.

A ray is cut into equal bins, bins into which something reaches get most of its
samples. What is occupied counts, not what is visible: weighting by the light
that arrives at a bin looks better and is wrong, since a coarse cell is opaque
before its surface is reached, and the surface then gets no sample.

  images = render_views(fields, world_from_cam, K, hw=(64, 64))
"""

import functools

from einops import rearrange
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from threedim_jax.evaluation.fields.field import (
  Fields,
  activate,
  look_up,
  occupancy,
)
from threedim_jax.views.cameras import Camera, rays_from_camera

NEAR = 0.05  # half edges of the box: nothing is nearer to a camera
_RAYS_AT_A_TIME = 4096
# A render may be slower than a step of training and twice as exact.
_RENDER_SAMPLES = 2


def distances_in_box(
  pos: Float[Array, "*b 3"], dir: Float[Array, "*b 3"]
) -> Float[Array, "*b 2"]:
  """Where rays enter and leave [-1, 1]^3; twice the same where they miss."""
  # No division by zero, and no ray is that parallel to a face.
  safe = jnp.where(jnp.abs(dir) < 1e-9, 1e-9, dir)
  a, b = (-1 - pos) / safe, (1 - pos) / safe
  near = jnp.maximum(jnp.minimum(a, b).max(-1), NEAR)
  far = jnp.maximum(jnp.maximum(a, b).min(-1), near)
  return jnp.stack([near, far], -1)


def sample_edges(
  cells: Float[Array, "c c c"],
  pos: Float[Array, "R 3"],
  dir: Float[Array, "R 3"],
  num_bins: int,
  u: Float[Array, "R S"],
) -> Float[Array, "R S"]:
  """Distances along rays at which the share `u` of occupied space is passed."""
  near, far = jnp.split(distances_in_box(pos, dir), 2, -1)
  bin_length = (far - near) / num_bins
  middle = near + bin_length * (np.arange(num_bins)[None] + 0.5)
  points = pos[:, None] + middle[..., None] * dir[:, None]
  c = cells.shape[0]
  at = jnp.clip((points + 1) * (0.5 * c), 0, c - 0.5).astype(jnp.int32)
  index = (at[..., 0] * c + at[..., 1]) * c + at[..., 2]
  reached = cells.reshape(-1).at[index].get(mode="promise_in_bounds")
  weight = 1 - jnp.exp(-reached * bin_length)
  share = weight / (weight.sum(-1, keepdims=True) + 1e-2)
  share += 0.1 / num_bins
  share /= share.sum(-1, keepdims=True)
  before = jnp.matmul(share, _before(num_bins), precision="highest")
  inside = jnp.clip((u[:, :, None] - before[:, None]) / share[:, None], 0, 1)
  return near + bin_length * inside.sum(-1)


def _before(n: int) -> Float[np.ndarray, "n n"]:
  """x @ _before(n): sums of all that comes earlier in the last axis."""
  return np.triu(np.ones((n, n), np.float32), 1)


def render_rays(
  grid: Float[Array, "n n n 4"],
  pos: Float[Array, "R 3"],
  dir: Float[Array, "R 3"],
  edges: Float[Array, "R S1"],
) -> tuple[Float[Array, "R 3"], Float[Array, " R"]]:
  """Colours of rays in box coordinates, and the distortion of each.

  Distortion (Mip-NeRF 360, eq. 15) is the mean distance between two places
  where the ray ends; with prefix sums it is linear in the number of samples.
  """
  length = jnp.diff(edges, axis=-1)
  middle = edges[:, :-1] + 0.5 * length
  points = pos[:, None] + middle[..., None] * dir[:, None]
  dens, rgb = activate(look_up(grid, points))
  depth = dens * length
  before = _before(depth.shape[-1])
  arrives = jnp.exp(-jnp.matmul(depth, before, precision="highest"))
  weight = arrives * (1 - jnp.exp(-depth))
  white = 1 - weight.sum(-1, keepdims=True)
  color = jnp.sum(weight[..., None] * rgb, -2) + white
  earlier = jnp.matmul(weight, before, precision="highest")
  moment = jnp.matmul(weight * middle, before, precision="highest")
  distortion = 2 * jnp.sum(weight * (middle * earlier - moment), -1)
  distortion += jnp.sum(weight**2 * length, -1) / 3
  return color, distortion


def render_views(
  fields: Fields,
  world_from_cam: Float[Array, "O M 4 4"] | Float[np.ndarray, "O M 4 4"],
  K: Float[Array, "O M 3 3"] | Float[np.ndarray, "O M 3 3"],
  hw: tuple[int, int],
) -> Float[Array, "O M H W 3"]:
  """Views of all objects, in [0, 1].

  Rays go through in portions of `_RAYS_AT_A_TIME`, one object after another:
  memory does not grow with views or objects.
  """
  cams = Camera(jnp.float32(world_from_cam), jnp.float32(K))
  return _render_views(fields, cams, hw)


@functools.partial(jax.jit, static_argnames="hw")
def _render_views(fields, cams, hw):
  config = fields.config

  def one_object(args):
    grid, center, radius, cams = args
    cells = occupancy(grid)
    num_rays = cams.K.shape[0] * hw[0] * hw[1]

    def one_view(cam):
      rays = rays_from_camera(cam, hw)
      pos = (rays.pos - center[None, None]) / radius
      return [rearrange(x, "h w c -> (h w) c") for x in (pos, rays.dir)]

    def one_ray(ray):
      pos, dir = (x[None] for x in ray)
      count = _RENDER_SAMPLES * config.num_samples
      u = jnp.linspace(0, 1, count + 1)[None]
      edges = sample_edges(
        cells, pos, dir, _RENDER_SAMPLES * config.num_coarse, u
      )
      return render_rays(grid, pos, dir, edges)[0][0]

    rays = jax.lax.map(one_view, cams)
    rays = jax.tree.map(lambda x: rearrange(x, "m p c -> (m p) c"), rays)
    return jax.lax.map(one_ray, rays, batch_size=min(_RAYS_AT_A_TIME, num_rays))

  colors = jax.lax.map(
    one_object, (fields.grid, fields.center, fields.radius, cams)
  )
  colors = jnp.clip(colors, 0, 1)
  return rearrange(colors, "o (m h w) c -> o m h w c", h=hw[0], w=hw[1])
