# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""PSNR and SSIM of pictures in [0, 1]; every name states its variant.

Numbers of two variants do not compare: on one pair of views 7x7-window and
Gaussian SSIM differ by as much as 0.09. Published SRN results (pixelNeRF) are
`psnr_u8` and `ssim_skimage7`, that is of 8-bit pictures on disk and with the
defaults of scikit-image; `ssim_gauss11` is that of Wang et al. 2004. White
around an object makes any PSNR some 7 dB higher: `psnr_fg_u8` leaves it out.

  ssim_skimage7(generated, truth)  # [N, H, W, 3] twice -> [N]
"""

from collections.abc import Callable
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
import numpy as np

from threedim_jax.runtime.errors import UserError

Images = Float[Array, "*N H W C"] | Float[np.ndarray, "*N H W C"]
Scores = Float[Array, "*N"]

_PIXELS = (-3, -2, -1)  # rows, columns and channels: averaged together
# A darkest channel from here on is white: renders of nothing are a bit less.
_WHITE_U8 = 250
_K1, _K2 = 0.01, 0.03  # Wang et al. 2004, for pictures in [0, 1]


def psnr(image: Images, truth: Images) -> Scores:
  """-10 log10 of the mean squared error, in dB; infinite for equal pictures."""
  return -10 * jnp.log10(jnp.square(image - truth).mean(_PIXELS))


def psnr_u8(image: Images, truth: Images) -> Scores:
  """`psnr` of what 8-bit files would hold: clipped and rounded to 1/255."""
  return psnr(_as_8_bit(image), _as_8_bit(truth))


def psnr_fg_u8(image: Images, truth: Images) -> Scores:
  """`psnr_u8` over the pixels that are foreground in either picture.

  What one picture has too much counts like what it lacks. NaN where both
  pictures are white all over: there is nothing to compare.
  """
  counts = is_foreground(image) | is_foreground(truth)
  error = jnp.square(_as_8_bit(image) - _as_8_bit(truth)).mean(-1)
  mean = jnp.where(counts, error, 0).sum((-2, -1)) / counts.sum((-2, -1))
  return -10 * jnp.log10(mean)


def is_foreground(image: Images) -> Bool[Array, "*N H W"]:
  """Pixels with a channel below 250 of 255: all that is not (nearly) white."""
  return jnp.round(jnp.min(image, -1) * 255) < _WHITE_U8


def _as_8_bit(image: Images) -> Images:
  return jnp.round(jnp.clip(image, 0, 1) * 255) / 255


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
  nothing = jnp.zeros_like(image)
  moments = image, truth, nothing, nothing
  for axis in (-3, -2):
    moments = _pool(*moments, window, axis)
  mean_x, mean_y, variances, covariance = moments
  luminance = (2 * mean_x * mean_y + _K1**2) / (mean_x**2 + mean_y**2 + _K1**2)
  contrast = (2 * covariance_scale * covariance + _K2**2) / (
    covariance_scale * variances + _K2**2
  )
  return (luminance * contrast).mean(_PIXELS)


def _pool(mean_x, mean_y, variances, covariance, window, axis):
  """Moments over windows that were a pixel wide along `axis`.

  The law of total variance: that of a window is the mean of its rows'
  variances plus the variance of its rows' means. The textbook mean of squares
  minus square of the mean loses, in float32, the small variances of smooth
  surfaces: measured 2e-6 in the SSIM of a 128x128 rendering, against 6e-8.
  """
  length = mean_x.shape[axis] - len(window) + 1
  at = lambda x, k: jax.lax.dynamic_slice_in_dim(x, k, length, axis=axis)
  centre_x, centre_y = (at(m, len(window) // 2) for m in (mean_x, mean_y))
  weights = jnp.asarray(window, jnp.float32)

  def add(k, sums):
    dx, dy = at(mean_x, k) - centre_x, at(mean_y, k) - centre_y
    terms = (
      dx,
      dy,
      at(variances, k) + dx * dx + dy * dy,
      at(covariance, k) + dx * dy,
    )
    return [s + weights[k] * t for s, t in zip(sums, terms, strict=True)]

  # A loop, not its unrolled sum: XLA would recompute the first axis for each
  # term of the second (measured: 2 to 4 times slower to compile and run).
  sums = jax.lax.fori_loop(0, len(window), add, [jnp.zeros_like(centre_x)] * 4)
  offset_x, offset_y, pooled_variances, pooled_covariance = sums
  return (
    centre_x + offset_x,
    centre_y + offset_y,
    pooled_variances - offset_x**2 - offset_y**2,
    pooled_covariance - offset_x * offset_y,
  )


def score_views(
  metrics: tuple[Callable, ...], images_u8: np.ndarray, truth_u8: np.ndarray
) -> dict[str, np.ndarray]:
  """{name: [N]} of metrics of pictures [N, H, W, 3] of 0 to 255, or floats."""
  scale = np.float32(255)
  scores = _jitted(metrics, images_u8 / scale, truth_u8 / scale)
  scores = jax.device_get(scores)
  return {m.__name__: scores[m.__name__] for m in metrics}  # jit sorts names


@functools.partial(jax.jit, static_argnums=0)
def _jitted(metrics, images, truth):
  return {metric.__name__: metric(images, truth) for metric in metrics}
