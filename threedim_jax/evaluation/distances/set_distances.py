# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes Frechet and kernel distances between sets of features, in float64.

  frechet_distance(features, truth_features)  # both are [N, D] arrays
  value, standard_error = kernel_distance(features, truth_features)

Both sets must have the same size. With n pictures per set, the Frechet distance
is too large by about c/n, where c depends on the model that made the pictures
(Chong and Forsyth 2019). Values for sets of different sizes are therefore not
comparable. The kernel distance has no such bias, so it is meaningful even for
few pictures. A kernel distance can be negative.
"""

from typing import NamedTuple

from jaxtyping import Float
import numpy as np

from threedim_jax.runtime.errors import UserError

Features = Float[np.ndarray, "N D"]
OtherFeatures = Float[np.ndarray, "M D"]  # `check_sizes` raises unless M = N

MIN_IMAGES = 3  # in each set; the standard error needs three

_CHUNK = 4096  # pictures that are converted to float64 at a time
_SUBSET_SIZE = 1000  # pictures
_MAX_SUBSETS = 100


class KernelDistance(NamedTuple):
  value: float
  standard_error: float


def check_sizes(x: Features, y: OtherFeatures) -> None:
  """Raises a UserError if the sizes differ or are below three pictures."""
  if len(x) != len(y):
    raise UserError(
      "the distance between sets of features depends on their size; compare"
      f" sets of the same number of pictures, not {len(x)} with {len(y)}"
    )
  if len(x) < MIN_IMAGES:
    raise UserError(
      f"the distance between sets needs at least {MIN_IMAGES} pictures on each"
      f" side, not {len(x)}"
    )


def frechet_distance(x: Features, y: OtherFeatures) -> float:
  """Returns the distance between Gaussians fitted to two sets of features.

  The distance is the squared 2-Wasserstein distance. If the Gaussians have the
  means mx, my and the covariances Sx, Sy, it is

    |mx - my|^2 + tr(Sx + Sy - 2 (Sx Sy)^(1/2))  (Heusel et al. 2017, eq. 6).

  Other implementations compute the matrix square root of Sx Sy. That root is
  unstable if the covariances are singular, and they are singular if there are
  fewer pictures than features. This code computes only the trace of the root.

  Raises:
    UserError: the sets differ in size, or have fewer than three pictures.
  """
  check_sizes(x, y)
  num_images, num_features = x.shape
  mean_x, mean_y = (v.mean(0, dtype=np.float64) for v in (x, y))
  is_few = num_images < num_features
  traces = _traces_of_factors if is_few else _traces_of_covariances
  distance = np.square(mean_x - mean_y).sum() + traces(x, mean_x, y, mean_y)
  return max(0.0, float(distance))  # rounding may give a negative number


def _traces_of_factors(x, mean_x, y, mean_y) -> float:
  """Computes tr(Sx + Sy - 2 (Sx Sy)^(1/2)) without the covariances Sx and Sy.

  This is fast if the number n of pictures is below the number D of features.
  Let A and B be the centred features, scaled so that Sx = A^T A and Sy = B^T B.
  Then tr (Sx Sy)^(1/2) is the nuclear norm of A B^T. That matrix is n x n,
  while the covariances are D x D.
  """
  a, b = (
    (v - mean) / np.sqrt(len(v) - 1) for v, mean in ((x, mean_x), (y, mean_y))
  )
  cross = np.linalg.norm(a @ b.T, "nuc")
  return np.square(a).sum() + np.square(b).sum() - 2 * cross


def _traces_of_covariances(x, mean_x, y, mean_y) -> float:
  """Computes tr(Sx + Sy - 2 (Sx Sy)^(1/2)) from the covariances Sx and Sy.

  This is fast if there are more pictures than features. With R = Sx^(1/2), the
  matrices (Sx Sy)^(1/2) and (R Sy R)^(1/2) have the same trace. R Sy R is
  symmetric, so its eigenvalues give the trace.
  """
  cov_x, cov_y = _covariance(x, mean_x), _covariance(y, mean_y)
  values, vectors = np.linalg.eigh(cov_x)
  root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
  values = np.linalg.eigvalsh(root @ cov_y @ root)
  return np.trace(cov_x) + np.trace(cov_y) - 2 * np.sqrt(values.clip(0)).sum()


def _covariance(x, mean):
  total = 0.0
  for start in range(0, len(x), _CHUNK):
    centred = x[start : start + _CHUNK] - mean
    total = total + centred.T @ centred
  return total / (len(x) - 1)


def kernel_distance(x: Features, y: OtherFeatures) -> KernelDistance:
  """Computes the squared MMD with KID's cubic kernel, and its standard error.

  The squared MMD (maximum mean discrepancy) is a distance between two
  distributions. With D features, the kernel is k(x, y) = (x.y / D + 1)^3
  (Binkowski et al. 2018, sec. 4). The result is the mean of the squared MMDs of
  at most 100 random subsets of up to 1000 pictures. Unlike KID's subsets, these
  subsets do not overlap. This saves time at the same precision, and makes the
  standard error easy to compute. The standard error says how much the result
  would vary if other pictures were drawn. It assumes independent pictures, but
  views of one object are only roughly independent. Picture i of y may depend on
  picture i of x, for example if both show the same object from the same camera.

  Raises:
    UserError: the sets differ in size, or have fewer than three pictures.
  """
  check_sizes(x, y)
  num_subsets = min(_MAX_SUBSETS, -(-len(x) // _SUBSET_SIZE))
  shuffled = np.random.default_rng(0).permutation(len(x))
  subsets = np.array_split(shuffled[: num_subsets * _SUBSET_SIZE], num_subsets)
  results = np.array([_squared_mmd(x[s], y[s]) for s in subsets])
  value, zeta_1, zeta_2 = results.mean(0).clip((-np.inf, 0, 0))
  n = len(subsets[0])
  variance = 2 / (n * (n - 1)) * (2 * (n - 2) * zeta_1 + zeta_2)
  return KernelDistance(float(value), float(np.sqrt(variance / num_subsets)))


def _squared_mmd(x, y) -> tuple[float, float, float]:
  """Computes the squared MMD of a subset, and two terms for its variance.

  The squared MMD (Gretton et al. 2012, eq. 4) is a U-statistic over pairs of
  pictures x_i and y_i. It is the mean, over all i != j, of

    h_ij = k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i).

  KID also includes the terms k(x_i, y_i). They are left out here, so that the
  value stays unbiased if x_i and y_i show the same object from the same camera.

  Args:
    x: features [n, D].
    y: features [n, D] of the other set.

  Returns:
    The mean of h_ij, the covariance of h_ij with h_ik, and the variance of
    h_ij. The variance of the mean follows from the last two (Serfling 1980,
    sec. 5.2.1).
  """
  n, num_features = x.shape
  x, y = x.astype(np.float64), y.astype(np.float64)

  def kernel(a, b):
    return (a @ b.T / num_features + 1) ** 3

  cross = kernel(x, y)
  h = kernel(x, x) + kernel(y, y) - cross - cross.T
  np.fill_diagonal(h, 0)
  rows, squares = h.sum(1), np.square(h).sum()
  num_pairs = n * (n - 1)
  value = rows.sum() / num_pairs
  zeta_1 = (np.square(rows).sum() - squares) / (num_pairs * (n - 2))
  return value, zeta_1 - value**2, squares / num_pairs - value**2
