# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""PSNR and SSIM of pictures in [0, 1]; every name states its variant.

Numbers of two variants do not compare: on one pair of views 7x7-window and
Gaussian SSIM differ by as much as 0.09. Published SRN results (pixelNeRF) are
`psnr_u8` and `ssim_skimage7`, that is of 8-bit pictures on disk and with the
defaults of scikit-image; `ssim_gauss11` is that of Wang et al. 2004.

  ssim_skimage7(generated, truth)  # [N, H, W, 3] twice -> [N]
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from threedim_jax.errors import UserError

Images = Float[Array, "*N H W C"] | Float[np.ndarray, "*N H W C"]
Scores = Float[Array, "*N"]

_PIXELS = (-3, -2, -1)  # rows, columns and channels: averaged together
_K1, _K2 = 0.01, 0.03  # Wang et al. 2004, for pictures in [0, 1]


def psnr(image: Images, truth: Images) -> Scores:
  """-10 log10 of the mean squared error, in dB; infinite for equal pictures."""
  return -10 * jnp.log10(jnp.square(image - truth).mean(_PIXELS))


def psnr_u8(image: Images, truth: Images) -> Scores:
  """`psnr` of what 8-bit files would hold: clipped and rounded to 1/255."""
  as_8_bit = lambda x: jnp.round(jnp.clip(x, 0, 1) * 255) / 255
  return psnr(as_8_bit(image), as_8_bit(truth))


def ssim_skimage7(image: Images, truth: Images) -> Scores:
  """7x7 uniform window and sample covariance: scikit-image's default."""
  return _ssim(image, truth, np.full(7, 1 / 7), covariance_scale=49 / 48)


def ssim_gauss11(image: Images, truth: Images) -> Scores:
  """11x11 Gaussian window of 1.5 pixels, population covariance."""
  weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
  return _ssim(image, truth, weights / weights.sum(), covariance_scale=1.0)


def _ssim(
  image: Images,
  truth: Images,
  window: Float[np.ndarray, " n"],
  *,
  covariance_scale: float,
) -> Scores:
  """Wang et al. 2004 eq. 13, at every full window, averaged.

  Args:
    image: in [0, 1].
    truth: in [0, 1].
    window: its weights along one axis; they add up to one.
    covariance_scale: n / (n - 1) of the window for sample covariances, or 1.

  Raises:
    UserError: the pictures are smaller than the window.
  """
  size = len(window)
  if min(truth.shape[-3:-1]) < size:
    raise UserError(
      f"SSIM with a {size}x{size} window needs pictures of at least"
      f" {size}x{size} pixels, not {truth.shape[-3]}x{truth.shape[-2]}: use a"
      " larger resolution."
    )
  # A variance is a difference of squares: next to white, where most of our
  # pixels are, float32 keeps it only if white is zero.
  x, y = image - 1, truth - 1
  moments = _filter(jnp.stack([x, y, x * x, y * y, x * y]), window)
  mean_x, mean_y, xx, yy, xy = moments
  variances = covariance_scale * (xx - mean_x**2 + yy - mean_y**2)
  covariance = covariance_scale * (xy - mean_x * mean_y)
  mean_x, mean_y = mean_x + 1, mean_y + 1
  luminance = (2 * mean_x * mean_y + _K1**2) / (mean_x**2 + mean_y**2 + _K1**2)
  contrast = (2 * covariance + _K2**2) / (variances + _K2**2)
  return (luminance * contrast).mean(_PIXELS)


def _filter(
  x: Float[Array, "*N H W C"], window: Float[np.ndarray, " n"]
) -> Float[Array, "*N H_out W_out C"]:
  """Weighted sums over rows, then columns, where the window fits whole."""
  for axis in (-3, -2):
    length = x.shape[axis] - len(window) + 1
    x = sum(
      float(w) * jax.lax.slice_in_dim(x, k, k + length, axis=axis)
      for k, w in enumerate(window)
    )
  return x
