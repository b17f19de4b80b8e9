# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes PSNR and SSIM of pictures in [0, 1], each in several variants.

Scores of different variants are not comparable: with different windows, the
SSIM of the same two pictures can differ by 0.09. 3DiM reports `ssim_gauss11`
(Wang et al. 2004); pixelNeRF and most later papers report `ssim_skimage7`. Both
are computed by scikit-image. A white background raises PSNR by about 7 dB, so
`psnr_fg_u8` leaves the background out. Faint noise on a white background lowers
SSIM far more than PSNR, so `ssim_gauss11_snapped` removes this noise first.

  ssim_gauss11(generated, truth)  # two arrays [N, H, W, 3] give N scores
"""

from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any

from jaxtyping import Bool, Float, Num
import numpy as np

from threedim_jax.runtime.errors import UserError

Images = Float[np.ndarray, "N H W C"]
Scores = Float[np.ndarray, " N"]

_PIXELS = (-3, -2, -1)  # rows, columns and channels are averaged together
# A pixel is white if its darkest channel has at least this level. The level is
# below 255, because a neural field that renders nothing is not exactly white.
_WHITE_U8 = 250
# `ssim_gauss11_snapped` sets a pixel to white if all its channels are at most
# this many levels below 255.
SNAP_LEVELS = 8


def psnr(image: Images, truth: Images) -> Scores:
  """Returns each picture's PSNR in dB: -10 log10 of the mean squared error.

  The PSNR of equal pictures is infinite.
  """
  error = np.square(image.astype(np.float64) - truth).mean(_PIXELS)
  return _decibels(error)


def psnr_u8(image: Images, truth: Images) -> Scores:
  """Computes `psnr` after both pictures are rounded to 8 bits.

  Values outside [0, 1] are clipped first.
  """
  return psnr(_as_8_bit(image), _as_8_bit(truth))


def psnr_fg_u8(image: Images, truth: Images) -> Scores:
  """Computes `psnr_u8` over the pixels that are foreground in either picture.

  If there are no such pixels (see `is_foreground`), the result is NaN.
  """
  counts = is_foreground(image) | is_foreground(truth)
  error = np.square(_as_8_bit(image) - _as_8_bit(truth)).mean(-1)
  with np.errstate(invalid="ignore"):
    error = (error * counts).sum((-2, -1)) / counts.sum((-2, -1))
  return _decibels(error)


def is_foreground(image: Images) -> Bool[np.ndarray, "N H W"]:
  """Marks foreground pixels: those whose darkest channel is below 250 of 255.

  All other pixels are nearly white and count as background.
  """
  return np.round(image.min(-1) * 255) < _WHITE_U8


def ssim_gauss11(image: Images, truth: Images) -> Scores:
  """Computes SSIM with an 11x11 Gaussian window (Wang et al. 2004).

  The window has a standard deviation of 1.5 pixels. Covariances are divided by
  the window's number of pixels n, not by n - 1.
  """
  return _ssim(
    image,
    truth,
    window=11,
    gaussian_weights=True,
    sigma=1.5,
    use_sample_covariance=False,
  )


def ssim_gauss11_snapped(image: Images, truth: Images) -> Scores:
  """Computes `ssim_gauss11` after background pixels are set to white.

  A pixel is background if, in both the picture and its `truth`, all channels
  have at least level 247 of 255.
  """
  darkest = np.minimum(image, truth).min(-1, keepdims=True)
  is_white = np.round(darkest * 255) >= 255 - SNAP_LEVELS
  return ssim_gauss11(
    np.where(is_white, 1.0, image), np.where(is_white, 1.0, truth)
  )


def ssim_skimage7(image: Images, truth: Images) -> Scores:
  """Computes SSIM with the default settings of scikit-image.

  The window is uniform with n = 7x7 pixels, and covariances are divided by
  n - 1.
  """
  return _ssim(image, truth, window=7)


def score_views(
  metrics: Sequence[Callable],
  images: Num[np.ndarray, "N H W C"],
  truth: Num[np.ndarray, "N H W C"],
) -> dict[str, Float[np.ndarray, " N"]]:
  """Compares pictures (levels 0 to 255) with the true ones by several metrics.

  Args:
    metrics: functions of this module, such as `psnr`.

  Returns:
    {name of the metric: its score for each picture}.
  """
  image, truth = images / np.float64(255), truth / np.float64(255)
  return {metric.__name__: metric(image, truth) for metric in metrics}


def _as_8_bit(image: Images) -> Images:
  return np.round(np.clip(image.astype(np.float64), 0, 1) * 255) / 255


def _decibels(mean_squared_error: Scores) -> Scores:
  with np.errstate(divide="ignore"):
    return -10 * np.log10(mean_squared_error)


def _ssim(
  image: Images, truth: Images, *, window: int, **options: Any
) -> Scores:
  """Computes the SSIM of each picture, averaged over pixels and channels.

  Several threads work in parallel.

  Args:
    window: height and width in pixels of the window that scikit-image uses with
      these `options`. The argument does not set the window; it only serves to
      refuse smaller pictures.
    **options: passed to scikit-image's `structural_similarity`.

  Raises:
    UserError: the pictures are smaller than the window.
  """
  from skimage.metrics import structural_similarity  # takes a second to import

  height, width = truth.shape[1:3]
  if min(height, width) < window:
    raise UserError(
      f"SSIM with a {window}x{window} window needs pictures of at least"
      f" {window}x{window} pixels, not {height}x{width}: use a larger"
      " resolution."
    )

  def score_pair(one_truth: np.ndarray, one_image: np.ndarray) -> float:
    return structural_similarity(
      one_truth.astype(np.float64),
      one_image.astype(np.float64),
      data_range=1,
      channel_axis=-1,
      **options,
    )

  with futures.ThreadPoolExecutor() as threads:
    return np.array(list(threads.map(score_pair, truth, image)))
