# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Metrics against scikit-image, stored and live, and against hand results.

`python tests/views/metrics_test.py` rewrites data/metrics_reference.npz:
pairs of 8-bit pictures and what scikit-image 0.26 says of them.
"""

import pathlib

import jax
import numpy as np
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.views import metrics

REFERENCE = pathlib.Path(__file__).parents[1] / "data" / "metrics_reference.npz"
METRICS = {
  f.__name__: jax.jit(f)
  for f in (
    metrics.psnr,
    metrics.psnr_u8,
    metrics.psnr_fg_u8,
    metrics.ssim_skimage7,
    metrics.ssim_gauss11,
  )
}
SKIMAGE_OPTIONS = {
  "ssim_skimage7": {},
  "ssim_gauss11": {
    "gaussian_weights": True,
    "sigma": 1.5,
    "use_sample_covariance": False,
  },
}


def ask_skimage(name, image, truth):
  """What scikit-image says of one pair in [0, 1], in double precision."""
  skimage = pytest.importorskip("skimage.metrics")
  image, truth = image.astype(np.float64), truth.astype(np.float64)
  if name == "psnr":
    return skimage.peak_signal_noise_ratio(truth, image, data_range=1)
  return skimage.structural_similarity(
    truth, image, data_range=1, channel_axis=-1, **SKIMAGE_OPTIONS[name]
  )


def pair_of_pictures(kind, height, width, seed):
  """uint8 [2, H, W, 3]: two pictures, more or less alike."""
  rng = np.random.default_rng(seed)
  shape = (height, width, 3)
  if kind == "noise":
    return rng.integers(0, 256, (2, *shape), dtype=np.uint8)
  rows, columns = np.indices((height, width))
  if kind == "smooth":  # small variances, which are easily lost
    ramp = (40 + rows / 2 + columns / 3)[..., None] * np.array([1, 2, 3.5])
    return np.stack([ramp, ramp + 1.5]).astype(np.uint8)
  # A blob in the middle, as in renderings: alike, but a pixel aside.
  pair = np.full((2, *shape), {"white": 255, "black": 0}[kind])
  blob = rng.integers(0, 256, (height // 3, width // 3, 3))
  for k in range(2):
    inside = slice(5 + k, 5 + k + height // 3), slice(6, 6 + width // 3)
    pair[k][inside] = blob + rng.integers(-9, 10, blob.shape)
  return pair.clip(0, 255).astype(np.uint8)


KINDS = ("noise", "smooth", "white", "black")
TOLERANCE = 1e-6


def pairs_of_every_kind(seed):
  """uint8 [2, kinds, H, W, 3]."""
  return np.stack([pair_of_pictures(k, 20, 18, seed) for k in KINDS], 1)


def in_01(pictures):
  return np.float32(pictures) / np.float32(255)


def ask_skimage_of_all(name, pairs):
  return [ask_skimage(name, *pair) for pair in np.swapaxes(in_01(pairs), 0, 1)]


def write_reference():
  pairs = pairs_of_every_kind(seed=7)
  values = {n: ask_skimage_of_all(n, pairs) for n in ("psnr", *SKIMAGE_OPTIONS)}
  REFERENCE.parent.mkdir(exist_ok=True)
  np.savez_compressed(REFERENCE, pairs=pairs, **values)


def assert_near(name, pairs, expected):
  ours = METRICS[name](*in_01(pairs))
  for kind, value, right in zip(KINDS, ours, expected, strict=True):
    assert value == pytest.approx(right, TOLERANCE, TOLERANCE), kind


@pytest.mark.parametrize("name", ["psnr", *SKIMAGE_OPTIONS])
def test_equals_stored_values_of_scikit_image(name):
  with np.load(REFERENCE) as stored:
    assert_near(name, stored["pairs"], stored[name])


@pytest.mark.parametrize("name", ["psnr", *SKIMAGE_OPTIONS])
def test_equals_scikit_image(name):
  for seed in range(5):
    pairs = pairs_of_every_kind(seed)
    assert_near(name, pairs, ask_skimage_of_all(name, pairs))


@pytest.mark.parametrize("name", METRICS)
def test_leading_axes_are_a_batch(name):
  rng = np.random.default_rng(0)
  image, truth = rng.random((2, 2, 3, 16, 12, 3), dtype=np.float32)
  batched = METRICS[name](image, truth)
  assert batched.shape == (2, 3)
  alone = METRICS[name](image[1, 2], truth[1, 2])
  assert alone.shape == ()
  np.testing.assert_allclose(batched[1, 2], alone, rtol=TOLERANCE)


@pytest.mark.parametrize("name", SKIMAGE_OPTIONS)
def test_ssim_of_equal_pictures_is_one_and_order_does_not_matter(name):
  image, truth = in_01(pair_of_pictures("white", 16, 16, 0))
  ssim = METRICS[name]
  assert float(ssim(image, image)) == pytest.approx(1, abs=TOLERANCE)
  swapped = float(ssim(truth, image))
  assert float(ssim(image, truth)) == pytest.approx(swapped, abs=TOLERANCE)
  assert swapped < 0.95


def test_psnr_by_hand():
  truth = np.full((8, 8, 3), 0.5, np.float32)
  off_by = lambda x: truth + np.float32(x)
  assert float(metrics.psnr(off_by(0.1), truth)) == pytest.approx(20, abs=1e-5)
  assert float(metrics.psnr(off_by(-0.01), truth)) == pytest.approx(
    40, abs=1e-4
  )
  assert float(metrics.psnr(truth, truth)) == np.inf


def test_psnr_u8_rounds_and_clips_both():
  truth = np.full((8, 8, 3), 100 / 255, np.float32)
  levels = lambda x: truth + np.float32(x / 255)
  assert float(metrics.psnr_u8(levels(0.4), levels(-0.4))) == np.inf
  one_level = 20 * np.log10(255)
  for image, other in ((levels(0.6), truth), (truth, levels(0.6))):
    assert float(metrics.psnr_u8(image, other)) == pytest.approx(one_level)
  beyond = np.full((8, 8, 3), 1.7, np.float32)
  assert float(metrics.psnr_u8(beyond, np.ones_like(beyond))) == np.inf


def test_foreground_is_what_is_not_white_in_all_channels():
  levels = np.array([[[255, 255, 255], [250, 250, 250], [255, 249, 255]]])
  found = metrics.is_foreground(in_01(levels))
  np.testing.assert_array_equal(found, [[False, False, True]])
  # As the 8-bit picture would say.
  found = metrics.is_foreground(in_01(np.array([[[249.6] * 3, [249.4] * 3]])))
  np.testing.assert_array_equal(found, [[False, True]])


def test_psnr_fg_u8_by_hand():
  white = np.full((3, 8, 8, 3), 255, np.uint8)
  image, truth = white.copy(), white.copy()
  # One pixel in which both are grey and differ by 10 levels in one channel,
  image[0, 2, 3] = 100, 100, 100
  truth[0, 2, 3] = 100, 100, 110
  # one that only one of them has, whichever it is,
  image[1, 2, 3] = truth[2, 2, 3] = 105, 255, 255
  # and whites that differ, which is no matter.
  image[:, 0, 0] = 251
  psnr = METRICS["psnr_fg_u8"](in_01(image), in_01(truth))
  expected = [-10 * np.log10((d / 255) ** 2 / 3) for d in (10, 150, 150)]
  np.testing.assert_allclose(psnr, expected, rtol=1e-5)


def test_psnr_fg_u8_of_two_white_pictures_is_no_number():
  white, truth = np.ones((2, 2, 8, 8, 3), np.float32)
  truth[1, 4, 4] = 0
  psnr = METRICS["psnr_fg_u8"](white, truth)
  assert np.isnan(psnr[0]) and psnr[1] == 0


def test_psnr_fg_u8_of_a_picture_without_white_is_psnr_u8():
  image, truth = in_01(pair_of_pictures("smooth", 16, 16, 0))
  both = [METRICS[name](image, truth) for name in ("psnr_fg_u8", "psnr_u8")]
  assert float(both[0]) == pytest.approx(float(both[1]), rel=TOLERANCE)


@pytest.mark.parametrize(
  "name, size", [("ssim_skimage7", 7), ("ssim_gauss11", 11)]
)
def test_picture_smaller_than_the_window_is_refused(name, size):
  fits = np.zeros((size, size, 3), np.float32)
  assert float(METRICS[name](fits, fits)) == 1
  for small in (fits[1:], fits[:, 1:]):
    with pytest.raises(UserError, match=f"at least {size}x{size}"):
      METRICS[name](small, small)


if __name__ == "__main__":
  write_reference()
