# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The neural field of 3DiM's consistency score: a hash grid and small MLPs.

As in instant-NGP (arXiv 2201.05989), every level of the grid has its own
resolution and its own table of features. A fine level has fewer rows than
nodes, and a hash decides which nodes share a row. The interpolated features of
all levels enter an MLP for density, whose output enters an MLP for colour
(3DiM, sec. 7.4: width 64, one hidden layer for density, two for colour, no
skips). The viewing direction is not an input, so views that contradict each
other cannot be fitted.

The levels that need no hash are joined into one grid before points are looked
up. This does not change their values. A point then takes 4 reads in all of
these levels together, instead of 8 in each.

  params = init_params(jax.random.key(0), config)
  tables = join_levels(params, config)
  density, rgb = query(tables, points, config)  # points in [-1, 1]^3
"""

from collections.abc import Sequence
import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree
import numpy as np

from threedim_jax.evaluation.fields.field import (
  look_up_pairs,
  pairs_of_nodes,
  refine,
)

# Instant-NGP, eq. 4. x has the factor 1, so that neighbours along x have
# neighbouring rows, which share cache lines.
_PRIMES = np.array([1, 2_654_435_761, 805_459_861], np.uint32)
_WIDTH = 64  # of both MLPs (3DiM, sec. 7.4)
_NUM_GEOMETRY = 15  # numbers that the density MLP hands to the colour MLP
# Limits the density, so that it and its gradients are finite in float32.
_MAX_LOG_DENSITY = 12.0


@dataclasses.dataclass(frozen=True)
class HashFieldConfig:
  """Field settings that the paper leaves open.

  They were chosen on true views only (launch/benchmarks.md). Scores from
  different settings are not comparable.

  Attributes:
    resolutions: nodes along an edge of the box, coarse to fine; a level has
      twice the intervals of the one before.
    table_size: largest number of rows of a level's table.
    num_features: numbers in a row.
    feature_scale: multiplies the features before they enter the MLP. The tables
      then learn faster at the learning rate that the paper fixes.
    num_coarse: number of bins of a ray; occupied bins get more samples.
    num_samples: number of samples of a ray.
    distortion_weight: of the distortion loss (arXiv 2111.12077, eq. 15).
    orientation_weight: of the orientation loss (arXiv 2112.03907, eq. 11).
    orientation_every: the orientation loss uses one ray in this many.
    occupancy_every_steps: steps between two estimates of occupied space.
    rays_at_a_time: number of rays that are computed together. The data of 512
      rays fits into a CPU's cache.
  """

  resolutions: tuple[int, ...]
  table_size: int = 2**16
  num_features: int = 4
  feature_scale: float = 10.0
  num_coarse: int = 64
  num_samples: int = 16
  distortion_weight: float = 1e-3
  orientation_weight: float = 1e-4
  orientation_every: int = 16
  occupancy_every_steps: int = 16
  rays_at_a_time: int = 512

  @classmethod
  def for_size(cls, size: int) -> "HashFieldConfig":
    """Returns settings whose finest level fits pictures of `size` pixels."""
    if size <= 32:
      return cls(resolutions=(9, 17, 33))
    if size <= 64:
      return cls(resolutions=(9, 17, 33, 65))
    return cls(resolutions=(9, 17, 33, 65, 129), table_size=2**18)


def init_params(rng: Key[Array, ""], config: HashFieldConfig) -> PyTree:
  """Draws tables near zero (instant-NGP, sec. 4) and MLPs by He's rule."""
  rng_tables, *rngs = jax.random.split(rng, 6)
  tables = [
    jax.random.uniform(
      key, (min(n**3, config.table_size), config.num_features), minval=-1e-2,
      maxval=1e-2,
    )
    for key, n in zip(
      jax.random.split(rng_tables, len(config.resolutions)),
      config.resolutions,
      strict=True,
    )
  ]  # fmt: skip
  inputs = len(config.resolutions) * config.num_features
  return {
    "tables": tables,
    "density": [
      _dense(rngs[0], inputs, _WIDTH),
      _dense(rngs[1], _WIDTH, 1 + _NUM_GEOMETRY),
    ],
    "color": [
      _dense(rngs[2], _NUM_GEOMETRY, _WIDTH),
      _dense(rngs[3], _WIDTH, _WIDTH),
      _dense(rngs[4], _WIDTH, 3),
    ],
  }


def _dense(rng: Key[Array, ""], inputs: int, outputs: int) -> PyTree:
  kernel = jax.random.normal(rng, (inputs, outputs)) * np.sqrt(2 / inputs)
  return {"kernel": kernel, "bias": jnp.zeros(outputs)}


def _mlp(layers: list[PyTree], x: Float[Array, "N D"]) -> Float[Array, "N E"]:
  for i, layer in enumerate(layers):
    x = x @ layer["kernel"] + layer["bias"][None]
    if i < len(layers) - 1:
      x = jax.nn.relu(x)
  return x


def row_of_node(
  node: Int[Array, "*b 3"], resolution: int, num_rows: int
) -> Int[Array, "*b"]:
  """Returns a node's table row: its index if all nodes fit, else its hash."""
  x, y, z = jnp.moveaxis(node, -1, 0)
  if resolution**3 <= num_rows:
    return (x * resolution + y) * resolution + z
  x, y, z = (i.astype(jnp.uint32) for i in (x, y, z))
  mixed = (x * _PRIMES[0]) ^ (y * _PRIMES[1]) ^ (z * _PRIMES[2])
  return (mixed % jnp.uint32(num_rows)).astype(jnp.int32)


def interpolate(
  table: Float[Array, "T F"], points: Float[Array, "N 3"], resolution: int
) -> Float[Array, "N F"]:
  """Interpolates one level trilinearly at points in [-1, 1]^3."""
  n = resolution
  place = jnp.clip((points + 1) * (0.5 * (n - 1)), 0, n - 1.001)
  corner = jnp.floor(place)
  fraction = place - jax.lax.stop_gradient(corner)
  corner = corner.astype(jnp.int32)
  total = jnp.zeros((len(points), table.shape[1]))
  for offset in np.ndindex(2, 2, 2):
    offset = np.array(offset, np.int32)[None]
    row = row_of_node(corner + offset, n, len(table))
    weight = jnp.prod(jnp.where(offset, fraction, 1 - fraction), axis=-1)
    values = table.at[row].get(mode="promise_in_bounds")
    total += weight[:, None] * values
  return total


def _dense_and_hashed(
  levels: Sequence, config: HashFieldConfig
) -> tuple[Sequence, Sequence]:
  """Splits levels into those with a row for every node, and the hashed ones."""
  num_dense = sum(n**3 <= config.table_size for n in config.resolutions)
  return levels[:num_dense], levels[num_dense:]


def join_levels(params: PyTree, config: HashFieldConfig) -> PyTree:
  """Joins all levels that need no hash into one table.

  The table, "pairs", has the form of `pairs_of_nodes`. Joining is linear, so
  gradients of many points can be summed for the joined table and then pulled
  back to the tables of the levels once.
  """
  dense, hashed = _dense_and_hashed(params["tables"], config)
  resolutions, _ = _dense_and_hashed(config.resolutions, config)
  grid = jnp.zeros((2, 2, 2, 0))
  for n, table in zip(resolutions, dense, strict=True):
    level = table.reshape(n, n, n, config.num_features)
    coarser = refine(grid) if grid.shape[-1] else level[..., :0]
    grid = jnp.concatenate([coarser, level], axis=-1)
  return {**params, "tables": hashed, "pairs": pairs_of_nodes(grid)}


def density_and_geometry(
  tables: PyTree, points: Float[Array, "N 3"], config: HashFieldConfig
) -> tuple[Float[Array, " N"], Float[Array, "N G"]]:
  """Computes density per half edge of the box, and the colour MLP's input.

  Args:
    tables: see `join_levels`.
    points: in [-1, 1]^3.
    config: settings.
  """
  dense, hashed = _dense_and_hashed(config.resolutions, config)
  features = []
  if dense:
    features.append(look_up_pairs(tables["pairs"], dense[-1], points))
  features += [
    interpolate(table, points, n)
    for table, n in zip(tables["tables"], hashed, strict=True)
  ]
  features = config.feature_scale * jnp.concatenate(features, axis=-1)
  out = _mlp(tables["density"], features)
  # exp as in instant-NGP. With the offset, the field starts as thin fog.
  log_density = jnp.minimum(out[:, 0] - 1.0, _MAX_LOG_DENSITY)
  return jnp.exp(log_density), out[:, 1:]


def query(
  tables: PyTree, points: Float[Array, "N 3"], config: HashFieldConfig
) -> tuple[Float[Array, " N"], Float[Array, "N 3"]]:
  """Computes density per half edge of the box, and colour in [0, 1]."""
  density, geometry = density_and_geometry(tables, points, config)
  return density, jax.nn.sigmoid(_mlp(tables["color"], geometry))


def normals(
  tables: PyTree, points: Float[Array, "N 3"], config: HashFieldConfig
) -> Float[Array, "N 3"]:
  """Returns unit vectors along which density falls most (Ref-NeRF, eq. 3)."""

  def total_density(points):
    return density_and_geometry(tables, points, config)[0].sum()

  slope = jax.grad(total_density)(points)
  # Without 1e-12, the gradient of the root would be NaN in empty space.
  length = jnp.sqrt(jnp.sum(slope**2, axis=-1, keepdims=True) + 1e-12)
  return -slope / length


def orientation_loss(
  weights: Float[Array, "R S"],
  normals: Float[Array, "R S 3"],
  dir: Float[Array, "R 3"],
) -> Float[Array, " R"]:
  """Penalizes visible surfaces that face away, per ray (Ref-NeRF, eq. 11).

  Args:
    weights: share of each sample in its ray's colour.
    normals: unit vectors, see `normals`.
    dir: unit directions of the rays, away from the camera.
  """
  away = jnp.maximum(jnp.sum(normals * dir[:, None], axis=-1), 0.0)
  return jnp.sum(weights * away**2, axis=-1)
