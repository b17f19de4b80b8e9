# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Kernel distance: squared MMD with the cubic kernel of KID, unbiased.

Binkowski et al. 2018 sec. 4: k(x, y) = (x.y / D + 1)^3. Its expectation does
not depend on the number of pictures, so it can be read where the Frechet
distance is mostly bias; it may come out negative.

  value, standard_error = kernel_distance(features, truth_features)
"""

from typing import NamedTuple

import numpy as np

from threedim_jax.evaluation.distances.frechet import (
  Features,
  OtherFeatures,
  check_sets,
)

_SUBSET_SIZE = 1000  # pictures
_MAX_SUBSETS = 100


class KernelDistance(NamedTuple):
  value: float
  standard_error: float


def kernel_distance(
  x: Features, y: OtherFeatures, *, seed: int = 0
) -> KernelDistance:
  """Mean over random subsets of 1000 pictures, 100 of them at most.

  KID's usual subsets overlap; these do not, which costs less for the same
  precision, and makes the standard error (that of drawing other pictures)
  simple. It takes pictures as independent; views of one object are not quite.

  Args:
    x: features, one row a picture.
    y: as many; rows of one index may depend on each other.
    seed: of the subsets.

  Raises:
    UserError: sets of different sizes, or of fewer than three pictures.
  """
  check_sets(x, y)
  num_subsets = min(_MAX_SUBSETS, -(-len(x) // _SUBSET_SIZE))
  shuffled = np.random.default_rng(seed).permutation(len(x))
  subsets = np.array_split(shuffled[: num_subsets * _SUBSET_SIZE], num_subsets)
  results = np.array([_squared_mmd(x[s], y[s]) for s in subsets])
  value, zeta_1, zeta_2 = results.mean(0).clip((-np.inf, 0, 0))
  n = len(subsets[0])
  variance = 2 / (n * (n - 1)) * (2 * (n - 2) * zeta_1 + zeta_2)
  return KernelDistance(float(value), float(np.sqrt(variance / num_subsets)))


def _squared_mmd(x, y) -> tuple[float, float, float]:
  """Gretton et al. 2012 eq. 4 and what its variance is made of.

  A U-statistic over pairs (x_i, y_i): unlike KID's it leaves out k(x_i, y_i)
  too, so it stays unbiased if both are of the same object and pose.

  Returns:
    The mean of h_ij over i != j; the covariances of h_ij with h_ik, and with
    itself, which make its variance (Serfling 1980 sec. 5.2.1).
  """
  n, num_features = x.shape
  x, y = x.astype(np.float64), y.astype(np.float64)
  kernel = lambda a, b: (a @ b.T / num_features + 1) ** 3
  cross = kernel(x, y)
  h = kernel(x, x) + kernel(y, y) - cross - cross.T
  np.fill_diagonal(h, 0)
  rows, squares = h.sum(1), np.square(h).sum()
  num_pairs = n * (n - 1)
  value = rows.sum() / num_pairs
  zeta_1 = (np.square(rows).sum() - squares) / (num_pairs * (n - 2))
  return value, zeta_1 - value**2, squares / num_pairs - value**2
