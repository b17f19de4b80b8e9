# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The field of `consistency-v1`: a sum of grids with different resolutions.

The grids are the levels of a pyramid. For example, they have 17, 33 and 65
nodes along each edge of the box (the cube around the object). A node of a
coarse level changes a large region, so the fit needs few steps to find a shape.
All levels are summed into one grid before points are looked up. Each look-up
then reads only this grid, and each gradient of a look-up is written only to
this grid.

  grid = collapse(pyramid)                           # [n, n, n, 4]
  density, rgb = activate(look_up(grid, points))     # points in [-1, 1]^3

A node holds one number for density and three numbers for colour. Colour does
not depend on the viewing direction, so the field cannot fit views that
contradict each other.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

Pyramid = list[Float[Array, "_ _ _ 4"]]


@dataclasses.dataclass(frozen=True)
class FieldConfig:
  """Settings of the field of `consistency-v1`.

  Scores with different settings are not comparable.

  Attributes:
    levels: number of nodes along an edge of the box, for each grid of the
      pyramid from coarse to fine.
    num_coarse: number of equal bins that a ray is cut into. Bins with a higher
      density get more samples.
    num_samples: number of samples along a ray.
    num_rays: number of random pixels per training step.
    learning_rate: Adam's learning rate at the first step.
    final_learning_rate: Adam's learning rate after the last step. The decay is
      exponential.
    distortion_weight: weight of the Mip-NeRF 360 distortion loss (arXiv
      2111.12077, eq. 15).
    occupancy_every_steps: number of steps between two updates of the density
      in each cell of the box, from which the density of the bins is read.
  """

  levels: tuple[int, ...]
  num_coarse: int = 64
  num_samples: int = 32
  num_rays: int = 2560
  learning_rate: float = 0.1
  final_learning_rate: float = 0.01
  distortion_weight: float = 1e-3
  occupancy_every_steps: int = 16

  @classmethod
  def for_size(cls, size: int) -> "FieldConfig":
    """Returns settings for pictures of `size` x `size` pixels.

    Along an edge, the finest level has roughly one node per pixel.
    """
    if size <= 32:
      return cls(levels=(9, 17, 33), num_rays=1024)
    if size <= 64:
      return cls(levels=(17, 33, 65))
    return cls(levels=(13, 25, 49, 97), num_samples=48)


def init_pyramid(levels: tuple[int, ...]) -> Pyramid:
  """Returns a pyramid of zeros, which renders as thin, see-through, grey fog.

  Args:
    levels: number of nodes along an edge of each grid, coarse to fine.
  """
  return [jnp.zeros((n, n, n, 4)) for n in levels]


def collapse(pyramid: Pyramid) -> Float[Array, "n n n 4"]:
  """Sums all levels of a pyramid into one grid with the finest resolution.

  Coarser levels are interpolated at the nodes of the finest level.
  """
  grid, *finer = pyramid
  for level in finer:
    grid = refine(grid) + level
  return grid


def refine(grid: Float[Array, "n n n C"]) -> Float[Array, "m m m C"]:
  """Interpolates a grid to m = 2 n - 1 nodes along an edge.

  The new grid represents the same field: interpolated at any point, it gives
  the same value as the old grid.
  """
  for axis in range(3):
    grid = _refine_axis(grid, axis)
  return grid


def _refine_axis(grid: Float[Array, "*n"], axis: int) -> Float[Array, "*m"]:
  """Inserts a node half-way between each two neighbours along one axis.

  A new node gets the mean of its two neighbours. The code uses slices, because
  multiplying by interpolation matrices took a third of a training step, mostly
  for transpositions.
  """
  here = jax.lax.slice_in_dim(grid, 0, -1, axis=axis)
  last = jax.lax.slice_in_dim(grid, -1, None, axis=axis)
  following = jax.lax.slice_in_dim(grid, 1, None, axis=axis)
  both = jnp.stack([here, 0.5 * (here + following)], axis + 1)
  shape = list(here.shape)
  shape[axis] *= 2
  return jnp.concatenate([both.reshape(shape), last], axis)


def pairs_of_nodes(grid: Float[Array, "n n n C"]) -> Float[Array, "N C2"]:
  """Returns a table whose row i holds the values of nodes i and i + 1.

  Neighbours along z have consecutive indices. To interpolate at a point, four
  rows of this table are read instead of eight nodes; the backward pass writes
  four rows. The table has N = n^3 - 1 rows of C2 = 2 C numbers.
  """
  nodes = grid.reshape(-1, grid.shape[-1])
  return jnp.concatenate([nodes[:-1], nodes[1:]], -1)


def look_up_pairs(
  pairs: Float[Array, "N C2"], n: int, points: Float[Array, "*b 3"]
) -> Float[Array, "*b C"]:
  """Interpolates a grid trilinearly at points, from its table of node pairs.

  The four rows for a point are read separately. Under vmap on a CPU, a single
  read of all 4 x 2 C numbers took 64 ms, and four separate reads took 3 ms.

  Args:
    pairs: the table that `pairs_of_nodes` made of the grid.
    n: number of nodes along an edge of the grid.
    points: points in [-1, 1]^3. Points outside the box get the value at the
      nearest point of its boundary.
  """
  C = pairs.shape[-1] // 2
  place = jnp.clip((points + 1) * (0.5 * (n - 1)), 0, n - 1.001)
  corner = jnp.floor(place).astype(jnp.int32)
  x, y, z = jnp.split(place - corner, 3, -1)
  first = (corner[..., 0] * n + corner[..., 1]) * n + corner[..., 2]

  def read(i, j):
    return pairs.at[first + (i * n + j) * n].get(mode="promise_in_bounds")

  low = read(0, 0) * (1 - y) + read(0, 1) * y
  high = read(1, 0) * (1 - y) + read(1, 1) * y
  both = low * (1 - x) + high * x
  return both[..., :C] * (1 - z) + both[..., C:] * z


def look_up(
  grid: Float[Array, "n n n C"], points: Float[Array, "*b 3"]
) -> Float[Array, "*b C"]:
  """Interpolates a grid trilinearly at points in [-1, 1]^3.

  Points outside get the value at the nearest point of the boundary.
  """
  return look_up_pairs(pairs_of_nodes(grid), grid.shape[0], points)


def density(raw: Float[Array, "*b"]) -> Float[Array, "*b"]:
  """Converts raw values (the first number of each node) to density.

  Density is in units of optical depth per half edge of the box. A raw value of
  0 gives fog of density 0.17, which absorbs 29 % of the light that crosses the
  box from face to face.
  """
  return 25 * jax.nn.softplus(2 * raw - 5)


def raw_density(dens: float) -> float:
  """Returns the raw value that `density` converts to the density `dens`."""
  return float((np.log(np.expm1(dens / 25)) + 5) / 2)


def activate(
  values: Float[Array, "*b 4"],
) -> tuple[Float[Array, "*b"], Float[Array, "*b 3"]]:
  """Converts interpolated node values to density and colour.

  Returns:
    (density per half edge of the box, colour in [0, 1]).
  """
  return density(values[..., 0]), jax.nn.sigmoid(values[..., 1:])


def occupancy(grid: Float[Array, "n n n 4"]) -> Float[Array, "c c c"]:
  """Returns an upper bound of the density within each cell of the box.

  The box is cut into c^3 cells, 32^3 for the grids of `FieldConfig.for_size`.
  The bound of a cell is the highest density among the nodes inside the cell and
  on its boundary. No point in the cell is denser, because `density` is monotone
  and is applied after the interpolation.
  """
  cells = grid.shape[0] - 1
  stride = -(-cells // 32)
  if cells % stride:
    stride = 1
  highest = jax.lax.reduce_window(
    grid[..., 0],
    -jnp.inf,
    jax.lax.max,
    (stride + 1,) * 3,
    (stride,) * 3,
    "valid",
  )
  return density(highest)
