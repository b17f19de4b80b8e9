# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Renders fields in box coordinates, over a white background.

In box coordinates, a field fills the cube [-1, 1]^3 (see `box`). Each ray is
cut into equal bins, and most of the ray's samples go to occupied bins, even to
bins that are hidden behind other occupied bins. Otherwise the samples would end
where the ray enters an occupied cell, in front of the surface in this cell, and
the surface would get no sample.

  edges = sample_edges(cells, pos, dir, num_bins=64, u=u)
  density, rgb = field(sample_points(pos, dir, edges))  # one of the two fields
  colors, weights = composite(density, rgb, edges)
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from threedim_jax.views.cameras import Camera, cam_from_px

NEAR = 0.05  # half edges of the box; rays start at this distance or farther
_RAYS_AT_A_TIME = 4096


def rays_of_pixels(
  cams: Camera, pixels: Int[Array, " R"], hw: tuple[int, int]
) -> tuple[Float[Array, "R 3"], Float[Array, "R 3"]]:
  """Returns the origins and unit directions of rays through pixel centres.

  Args:
    cams: cameras of V views.
    pixels: index of each ray's pixel among the V * H * W pixels of all views.
    hw: height H and width W of a view.
  """
  view, pixel = jnp.divmod(pixels, hw[0] * hw[1])
  y, x = jnp.divmod(pixel, hw[1])
  px = jnp.stack([x, y], -1) + 0.5
  pose = jnp.asarray(cams.world_from_cam)[view]
  dir = jax.vmap(cam_from_px)(px, jnp.asarray(cams.K)[view])
  dir = jnp.einsum("rij,rj->ri", pose[:, :3, :3], dir, precision="highest")
  dir /= jnp.linalg.norm(dir, axis=-1, keepdims=True)
  return pose[:, :3, 3], dir


def distances_in_box(
  pos: Float[Array, "*b 3"],
  dir: Float[Array, "*b 3"],
  planes: Float[Array, "2"] | None = None,
) -> Float[Array, "*b 2"]:
  """Returns the distances at which rays enter and leave the box [-1, 1]^3.

  The two distances are equal if the ray misses the box.

  Args:
    pos: start of each ray.
    dir: unit direction of each ray.
    planes: lower and upper limit of the distances. None: `NEAR` and infinity.
  """
  nearest, farthest = (NEAR, np.inf) if planes is None else planes
  safe = jnp.where(jnp.abs(dir) < 1e-9, 1e-9, dir)  # no division by zero
  a, b = (-1 - pos) / safe, (1 - pos) / safe
  near = jnp.maximum(jnp.minimum(a, b).max(-1), nearest)
  far = jnp.minimum(jnp.maximum(a, b).min(-1), farthest)
  return jnp.stack([near, jnp.maximum(far, near)], -1)


def occupied_bins(
  cells: Float[Array, "c c c"],
  pos: Float[Array, "R 3"],
  dir: Float[Array, "R 3"],
  num_bins: int,
  planes: Float[Array, "2"] | None = None,
) -> tuple[Float[Array, "R 1"], Float[Array, "R 1"], Float[Array, "R B"]]:
  """Cuts each ray into equal bins, and finds the optical depth of each bin.

  Args:
    cells: density in each cell of the box.
    pos: start of each ray.
    dir: unit direction of each ray.
    num_bins: number B of bins per ray.
    planes: limits of the distances along rays, see `distances_in_box`.

  Returns:
    (distance at which the first bin starts, length of a bin, optical depth of
    each bin).
  """
  near, far = jnp.split(distances_in_box(pos, dir, planes), 2, -1)
  bin_length = (far - near) / num_bins
  middle = near + bin_length * (np.arange(num_bins)[None] + 0.5)
  points = pos[:, None] + middle[..., None] * dir[:, None]
  c = cells.shape[0]
  at = jnp.clip((points + 1) * (0.5 * c), 0, c - 0.5).astype(jnp.int32)
  index = (at[..., 0] * c + at[..., 1]) * c + at[..., 2]
  density = cells.reshape(-1).at[index].get(mode="promise_in_bounds")
  return near, bin_length, density * bin_length


def sample_edges(
  cells: Float[Array, "c c c"],
  pos: Float[Array, "R 3"],
  dir: Float[Array, "R 3"],
  num_bins: int,
  u: Float[Array, "R S"],
  planes: Float[Array, "2"] | None = None,
) -> Float[Array, "R S"]:
  """Returns the boundaries of each ray's samples, as distances along the ray.

  Each bin of a ray has a weight, and occupied bins have larger weights. At
  boundary i, the ray has passed the fraction u[:, i] of the total weight of its
  bins. Occupied bins therefore get more samples.

  Args:
    cells: density in each cell of the box.
    pos: start of each ray.
    dir: unit direction of each ray.
    num_bins: number of equal bins that a ray is cut into.
    u: increasing numbers from 0 to 1, one for each boundary.
    planes: limits of the distances along rays, see `distances_in_box`.
  """
  near, bin_length, depth = occupied_bins(cells, pos, dir, num_bins, planes)
  weight = 1 - jnp.exp(-depth)
  share = weight / (weight.sum(-1, keepdims=True) + 1e-2)
  share += 0.1 / num_bins
  share /= share.sum(-1, keepdims=True)
  before = _sums_before(share)
  inside = jnp.clip((u[:, :, None] - before[:, None]) / share[:, None], 0, 1)
  return near + bin_length * inside.sum(-1)


def _sums_before(x: Float[Array, "R n"]) -> Float[Array, "R n"]:
  """Replaces each element by the sum of the elements before it in its row."""
  n = x.shape[-1]
  earlier = np.triu(np.ones((n, n), np.float32), 1)
  return jnp.matmul(x, earlier, precision="highest")


def sample_points(
  pos: Float[Array, "R 3"],
  dir: Float[Array, "R 3"],
  edges: Float[Array, "R S1"],
) -> Float[Array, "R S 3"]:
  """Returns the midpoint of each sample of each ray.

  Args:
    pos: start of each ray.
    dir: unit direction of each ray.
    edges: boundaries of each ray's S samples, as distances; S1 = S + 1.
  """
  middle = 0.5 * (edges[:, :-1] + edges[:, 1:])
  return pos[:, None] + middle[..., None] * dir[:, None]


def composite(
  density: Float[Array, "R S"],
  rgb: Float[Array, "R S 3"],
  edges: Float[Array, "R S1"],
) -> tuple[Float[Array, "R 3"], Float[Array, "R S"]]:
  """Blends the samples of each ray over a white background.

  Args:
    density: density of each sample, per unit of `edges`.
    rgb: colour of each sample.
    edges: boundaries of each ray's S samples, as distances; S1 = S + 1.

  Returns:
    (colours of the rays, weight of each sample in its ray's colour).
  """
  depth = density * jnp.diff(edges, axis=-1)
  weights = jnp.exp(-_sums_before(depth)) * (1 - jnp.exp(-depth))
  white = 1 - weights.sum(-1, keepdims=True)
  return jnp.sum(weights[..., None] * rgb, -2) + white, weights


def distortion_loss(
  weights: Float[Array, "R S"], edges: Float[Array, "R S1"]
) -> Float[Array, " R"]:
  """Computes the distortion loss of each ray (Mip-NeRF 360, eq. 15).

  The loss is small if all light of a ray comes from one place. Draw two random
  points on the ray, with `weights` as the probabilities of the samples. The
  loss is the expected distance between these points. The code replaces the sum
  over all pairs of samples by prefix sums.

  Args:
    weights: weight of each sample in its ray's colour.
    edges: boundaries of each ray's S samples, as distances; S1 = S + 1.
  """
  length = jnp.diff(edges, axis=-1)
  middle = edges[:, :-1] + 0.5 * length
  moment = _sums_before(weights * middle)
  pairs = 2 * jnp.sum(weights * (middle * _sums_before(weights) - moment), -1)
  return pairs + jnp.sum(weights**2 * length, -1) / 3


def render_pixels(
  show: Callable[
    [Float[Array, "R 3"], Float[Array, "R 3"]], Float[Array, "R 3"]
  ],
  cams: Camera,
  hw: tuple[int, int],
) -> Float[Array, "V H W 3"]:
  """Renders V views of one object, with values in [0, 1].

  `show` gets a limited number of rays at a time, so memory does not grow with
  the number of views.

  Args:
    show: function (origins, unit directions) -> colours of the rays.
    cams: cameras of the V views.
    hw: height and width of a view.
  """
  num_views = cams.K.shape[0]
  num_rays = num_views * hw[0] * hw[1]
  N = min(_RAYS_AT_A_TIME, num_rays)
  pixels = np.arange(-(-num_rays // N) * N).reshape(-1, N) % num_rays
  colors = jax.lax.map(
    lambda at: show(*rays_of_pixels(cams, at, hw)), jnp.asarray(pixels)
  )
  colors = colors.reshape(-1, 3)[:num_rays]
  return jnp.clip(colors, 0, 1).reshape(num_views, *hw, 3)
