# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The field of `consistency-3dim`, as in 3DiM: a hash grid and two small MLPs.

A hash grid (instant-NGP, arXiv 2201.05989) consists of levels. Each level is a
grid of nodes with its own resolution and its own table of features. The table
of a fine level has fewer rows than the level has nodes, and a hash decides
which nodes share a row. The first MLP turns the interpolated features of all
levels into density and 15 more numbers. The second MLP turns these numbers into
colour. The sizes are those of 3DiM (sec. 7.4): width 64, one hidden layer for
density, two for colour, no skip connections. The viewing direction is not an
input, so the field cannot fit views that contradict each other.

The coarse levels need no hash, and are joined into one grid before points are
looked up. Joining does not change the interpolated features. A look-up then
takes 4 reads for all coarse levels together, instead of 8 for each level.

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
  """Settings of the hash-grid field that `consistency-3dim` fits.

  The paper leaves these settings open. They were chosen on true views only
  (launch/benchmarks.md). Scores with different settings are not comparable.

  Attributes:
    resolutions: number of nodes along an edge of the box, for each level from
      coarse to fine. The number of intervals between nodes doubles from each
      level to the next.
    table_size: largest number of rows in the feature table of a level.
    num_features: number of features in a row of a table.
    feature_scale: factor that multiplies features before they enter the MLP for
      density. A larger factor makes the tables learn faster at the learning
      rate that the paper fixes.
    num_coarse: number of equal bins that a ray is cut into. Bins with a higher
      density get more samples.
    num_samples: number of samples along a ray.
    distortion_weight: weight of the distortion loss (arXiv 2111.12077, eq. 15).
    orientation_weight: weight of the orientation loss (arXiv 2112.03907, eq.
      11).
    orientation_every: one ray in every `orientation_every` rays gets the
      orientation loss.
    occupancy_every_steps: number of steps between two updates of the density
      in each cell of the box, from which the density of the bins is read.
    rays_at_a_time: number of rays that are processed together. The data of 512
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
    """Returns settings for pictures of `size` x `size` pixels.

    Along an edge, the finest level has roughly one node per pixel.
    """
    if size <= 32:
      return cls(resolutions=(9, 17, 33))
    if size <= 64:
      return cls(resolutions=(9, 17, 33, 65))
    return cls(resolutions=(9, 17, 33, 65, 129), table_size=2**18)


def init_params(rng: Key[Array, ""], config: HashFieldConfig) -> PyTree:
  """Draws random initial parameters: the feature tables and the two MLPs.

  Features are drawn near zero (instant-NGP, sec. 4). The weights of the MLPs
  are drawn by He's rule.

  Returns:
    {"tables": [table of each level], "density": layers of the MLP for density,
    "color": layers of the MLP for colour}.
  """
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
  """Returns which row of a level's table holds the features of a node.

  If the table has a row for every node, the row is the node's index. Otherwise
  the row is a hash of the node's coordinates, and several nodes share a row.

  Args:
    node: coordinates of nodes, from 0 to `resolution` - 1.
    resolution: number of nodes along an edge of the level.
    num_rows: number of rows of the table.
  """
  x, y, z = jnp.moveaxis(node, -1, 0)
  if resolution**3 <= num_rows:
    return (x * resolution + y) * resolution + z
  x, y, z = (i.astype(jnp.uint32) for i in (x, y, z))
  mixed = (x * _PRIMES[0]) ^ (y * _PRIMES[1]) ^ (z * _PRIMES[2])
  return (mixed % jnp.uint32(num_rows)).astype(jnp.int32)


def interpolate(
  table: Float[Array, "T F"], points: Float[Array, "N 3"], resolution: int
) -> Float[Array, "N F"]:
  """Interpolates the features of one level trilinearly at points.

  Args:
    table: the level's table, with T rows of F features.
    points: points in [-1, 1]^3.
    resolution: number of nodes along an edge of the level.
  """
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
  """Splits a sequence with one item per level into dense and hashed levels.

  The table of a dense level has a row for every node. The table of a hashed
  level has fewer rows than the level has nodes.
  """
  num_dense = sum(n**3 <= config.table_size for n in config.resolutions)
  return levels[:num_dense], levels[num_dense:]


def join_levels(params: PyTree, config: HashFieldConfig) -> PyTree:
  """Joins the tables of all levels that need no hash into one table.

  Joining is linear. The gradients of many points can therefore be summed in the
  joined table, and then be converted once to gradients of the levels' tables.

  Args:
    params: parameters in the form that `init_params` returns.

  Returns:
    `params`, with the joined table as "pairs" (see `pairs_of_nodes`). "tables"
    keeps only the tables of levels that need a hash.
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
  """Computes the density at points, and the input of the MLP for colour.

  The arguments and the unit of density are those of `query`. The input of the
  MLP for colour is G = 15 numbers.
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
  """Computes the density and the colour at points.

  Args:
    tables: parameters from `join_levels`.
    points: points in [-1, 1]^3.

  Returns:
    (density per half edge of the box, colour in [0, 1]).
  """
  density, geometry = density_and_geometry(tables, points, config)
  return density, jax.nn.sigmoid(_mlp(tables["color"], geometry))


def normals(
  tables: PyTree, points: Float[Array, "N 3"], config: HashFieldConfig
) -> Float[Array, "N 3"]:
  """Returns unit vectors (normals) along which density falls fastest.

  Ref-NeRF defines the normals in this way (arXiv 2112.03907, eq. 3). The
  arguments are those of `query`.
  """

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
  """Computes the orientation loss of each ray (Ref-NeRF, eq. 11).

  The loss penalizes visible surfaces that face away from the camera.

  Args:
    weights: weight of each sample in its ray's colour.
    normals: normal at each sample, from the function `normals`.
    dir: unit direction of each ray, away from the camera.
  """
  away = jnp.maximum(jnp.sum(normals * dir[:, None], axis=-1), 0.0)
  return jnp.sum(weights * away**2, axis=-1)
