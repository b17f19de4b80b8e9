# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Metrics against stored values of scikit-image, and against hand results.

data/metrics_reference.npz holds pairs of 8-bit pictures and what scikit-image
0.26 said of them, so that another release that says something else is noticed.
"""

import pathlib

import numpy as np
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.views import metrics

REFERENCE = pathlib.Path(__file__).parents[1] / "data" / "metrics_reference.npz"
METRICS = {
  f.__name__: f
  for f in (
    metrics.psnr,
    metrics.psnr_u8,
    metrics.psnr_fg_u8,
    metrics.ssim_skimage7,
    metrics.ssim_gauss11,
    metrics.ssim_gauss11_snapped,
  )
}
SSIMS = [name for name in METRICS if name.startswith("ssim")]


def in_01(pictures) -> np.ndarray:
  return np.float32(pictures) / np.float32(255)


def grey(level: float) -> np.ndarray:
  """[1, 16, 16, 3] of one level out of 255."""
  return np.full((1, 16, 16, 3), level / 255, np.float32)


@pytest.mark.parametrize("name", ["psnr", "ssim_skimage7", "ssim_gauss11"])
def test_equals_stored_values_of_scikit_image(name):
  with np.load(REFERENCE) as stored:
    ours = METRICS[name](*in_01(stored["pairs"]))
    np.testing.assert_allclose(ours, stored[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_every_picture_is_scored_alone(name):
  image, truth = np.random.default_rng(0).random((2, 3, 16, 12, 3), np.float32)
  batched = METRICS[name](image, truth)
  assert batched.shape == (3,)
  alone = METRICS[name](image[1:2], truth[1:2])
  np.testing.assert_allclose(batched[1:2], alone, rtol=1e-6)


@pytest.mark.parametrize("name", SSIMS)
def test_ssim_of_equal_pictures_is_one_and_order_does_not_matter(name):
  image, truth = np.random.default_rng(0).random((2, 1, 16, 16, 3), np.float32)
  ssim = METRICS[name]
  np.testing.assert_allclose(ssim(image, image), 1)
  np.testing.assert_allclose(ssim(image, truth), ssim(truth, image))
  assert ssim(image, truth) < 0.95


@pytest.mark.parametrize(
  ("metric", "levels", "expected"),
  [
    ("psnr", (127.5, 153), 20),
    ("psnr", (100, 100), np.inf),
    ("psnr_u8", (100.4, 99.6), np.inf),  # both are rounded to 100
    ("psnr_u8", (100.6, 100), 20 * np.log10(255)),
    ("psnr_u8", (433, 255), np.inf),  # clipped
  ],
)
def test_psnr_by_hand(metric, levels, expected):
  got = METRICS[metric](*map(grey, levels))
  np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_foreground_is_what_is_not_white_in_all_channels():
  levels = [[255, 255, 255], [250, 250, 250], [255, 249, 255]]
  found = metrics.is_foreground(in_01([[levels]]))
  np.testing.assert_array_equal(found, [[[False, False, True]]])


def test_psnr_fg_u8_by_hand():
  white = np.full((4, 8, 8, 3), 255, np.uint8)
  image, truth = white.copy(), white.copy()
  # One pixel in which both are grey and differ by 10 levels in one channel,
  image[0, 2, 3] = 100, 100, 100
  truth[0, 2, 3] = 100, 100, 110
  # one pixel that only one of the two has, whichever it is,
  image[1, 2, 3] = truth[2, 2, 3] = 105, 255, 255
  # nothing in the last pair, and whites that differ, which do not count.
  image[:, 0, 0] = 251
  psnr = metrics.psnr_fg_u8(in_01(image), in_01(truth))
  expected = [-10 * np.log10((d / 255) ** 2 / 3) for d in (10, 150, 150)]
  np.testing.assert_allclose(psnr, [*expected, np.nan], rtol=1e-5)
  dark = np.random.default_rng(0).random((2, 1, 8, 8, 3), np.float32) / 2
  np.testing.assert_allclose(metrics.psnr_fg_u8(*dark), metrics.psnr_u8(*dark))


def test_snapped_ssim_sees_the_object_and_no_faint_noise():
  truth = np.full((1, 48, 48, 3), 255)
  inside = np.s_[:, 16:28, 16:28]
  rng = np.random.default_rng(0)
  truth[inside] = rng.integers(0, 200, truth[inside].shape)

  def scores(image) -> list[float]:
    pair = in_01(image), in_01(truth)
    metric_pair = metrics.ssim_gauss11_snapped, metrics.ssim_gauss11
    return [float(metric(*pair)[0]) for metric in metric_pair]

  noise = np.where(truth == 255, rng.integers(0, 9, truth.shape), 0)
  snapped, plain = scores(truth - noise)
  assert snapped == pytest.approx(1) and plain < 0.96
  # Nine levels are not white, and white in one picture alone does not count.
  for change in (9, 60):
    image = truth.copy()
    image[:, :4] -= change
    snapped, plain = scores(image)
    assert snapped == pytest.approx(plain) and snapped < 1 - 1e-5
  image = truth.copy()
  image[inside] = 120
  snapped, plain = scores(image)
  assert snapped == pytest.approx(plain) and snapped < 0.95


@pytest.mark.parametrize(
  ("name", "size"), [("ssim_skimage7", 7), ("ssim_gauss11", 11)]
)
def test_a_picture_smaller_than_the_window_is_refused(name, size):
  fits = np.zeros((1, size, size, 3), np.float32)
  assert METRICS[name](fits, fits) == 1
  for small in (fits[:, 1:], fits[:, :, 1:]):
    with pytest.raises(UserError, match=f"at least {size}x{size}"):
      METRICS[name](small, small)
