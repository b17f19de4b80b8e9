# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Frechet distance between the Gaussians fitted to two sets of features.

|mx - my|^2 + tr(Sx + Sy - 2 (Sx Sy)^(1/2)) (Heusel et al. 2017 eq. 6), in
float64. The usual square root of a product of covariances is not used: it is
unstable where they are singular, that is for fewer pictures than features.

The value is biased upwards, by about 1/n times a constant that depends on the
model (Chong and Forsyth 2019): compare sets of one size only.

  frechet_distance(features, truth_features)  # [N, D] twice
"""

from jaxtyping import Float
import numpy as np

from threedim_jax.runtime.errors import UserError

Features = Float[np.ndarray, "N D"]
OtherFeatures = Float[np.ndarray, "M D"]  # M = N, or a `UserError`

MIN_IMAGES = 3  # on each side, for a value with a standard error

_CHUNK = 4096  # pictures in float64 at a time


def check_sets(x: Features, y: OtherFeatures) -> None:
  """Raises a `UserError` unless both have the same, sufficient size."""
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
  """The squared 2-Wasserstein distance of the fitted Gaussians.

  Raises:
    UserError: sets of different sizes, or of fewer than three pictures.
  """
  check_sets(x, y)
  num_images, num_features = x.shape
  mean_x, mean_y = (v.mean(0, dtype=np.float64) for v in (x, y))
  spread = _of_factors if num_images < num_features else _of_covariances
  distance = np.square(mean_x - mean_y).sum() + spread(x, mean_x, y, mean_y)
  return max(0.0, float(distance))  # rounding may end below zero


def _of_factors(x, mean_x, y, mean_y) -> float:
  """With S = A^T A: tr (Sx Sy)^(1/2) is the nuclear norm of Ax Ay^T.

  n x n numbers instead of D x D, and no square root of a rounded zero.
  """
  a, b = (
    (v - mean) / np.sqrt(len(v) - 1) for v, mean in ((x, mean_x), (y, mean_y))
  )
  cross = np.linalg.norm(a @ b.T, "nuc")
  return np.square(a).sum() + np.square(b).sum() - 2 * cross


def _of_covariances(x, mean_x, y, mean_y) -> float:
  """(Sx Sy)^(1/2) has the trace of (R Sy R)^(1/2), R = Sx^(1/2): symmetric."""
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
