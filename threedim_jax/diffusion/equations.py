# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The equations of Gaussian diffusion, as functions of the log-SNR.

A noisy image z_t = alpha x0 + sigma eps mixes a clean image x0 with standard
normal noise eps, where alpha^2 = sigmoid(logsnr) and sigma^2 = sigmoid(-logsnr)
(3DiM sec. 2; VDM, arXiv 2107.00630, sec. 3).
Time runs from t = 0 (data, logsnr = +20) to t = 1 (noise, logsnr = -20).
A sampling step goes from time t to time s, so s < t and logsnr_s > logsnr_t.

All functions are pure. `logsnr` must broadcast against the images; for log-SNRs
of shape [B], call `expand` first.
"""

import math

from jax.nn import sigmoid
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN


def expand(per_example: Shaped[Array, " B"], like: Array) -> Array:
  """Reshapes an array [B] to [B, 1, ..., 1], with as many axes as `like`.

  The result broadcasts against the images `like`.
  """
  return jnp.expand_dims(per_example, tuple(range(1, like.ndim)))


# The angle theta of the cosine schedule at t = 0. At t = 1 the angle is
# pi / 2 - _THETA_MIN.
_THETA_MIN = math.atan(math.exp(-0.5 * LOGSNR_MAX))


def logsnr_schedule_cosine(t: Float[Array, "*b"]) -> Float[Array, "*b"]:
  """Returns the log-SNR at time t in 3DiM's cosine schedule.

  The log-SNR is -2 log tan(theta), where the angle theta grows linearly with t.
  The log-SNR falls from +20 at t = 0 to -20 at t = 1.
  """
  # logsnr(1 - t) = -logsnr(t). The second half is computed from 1 - t, because
  # float32 cannot resolve tan near pi / 2.
  mirrored = t > 0.5
  u = jnp.where(mirrored, 1.0 - t, t)
  theta = (0.5 * math.pi - 2.0 * _THETA_MIN) * u + _THETA_MIN
  logsnr = -2.0 * jnp.log(jnp.tan(theta))
  return jnp.where(mirrored, -logsnr, logsnr)


def alpha_sigma(logsnr: Array) -> tuple[Array, Array]:
  """Returns (alpha, sigma) for a log-SNR; their squares sum to 1."""
  return jnp.sqrt(sigmoid(logsnr)), jnp.sqrt(sigmoid(-logsnr))


def q_sample(x0: Array, eps: Array, logsnr: Array) -> Array:
  """Adds noise to a clean image: z_t = alpha x0 + sigma eps."""
  alpha, sigma = alpha_sigma(logsnr)
  return alpha * x0 + sigma * eps


def x0_from_eps(z_t: Array, eps: Array, logsnr: Array) -> Array:
  """Computes the clean image x0 = (z_t - sigma eps) / alpha."""
  alpha, sigma = alpha_sigma(logsnr)
  return (z_t - sigma * eps) / alpha


def eps_from_x0(z_t: Array, x0: Array, logsnr: Array) -> Array:
  """Computes the noise eps = (z_t - alpha x0) / sigma."""
  alpha, sigma = alpha_sigma(logsnr)
  return (z_t - alpha * x0) / sigma


def v_from_eps(x0: Array, eps: Array, logsnr: Array) -> Array:
  """Computes the velocity alpha eps - sigma x0 (arXiv 2202.00512, sec. 4)."""
  alpha, sigma = alpha_sigma(logsnr)
  return alpha * eps - sigma * x0


def eps_from_v(z_t: Array, v: Array, logsnr: Array) -> Array:
  """Computes the noise eps = sigma z_t + alpha v."""
  alpha, sigma = alpha_sigma(logsnr)
  return sigma * z_t + alpha * v


def x0_from_v(z_t: Array, v: Array, logsnr: Array) -> Array:
  """Computes the clean image x0 = alpha z_t - sigma v."""
  alpha, sigma = alpha_sigma(logsnr)
  return alpha * z_t - sigma * v


def q_posterior(
  z_t: Array, x0_hat: Array, logsnr_t: Array, logsnr_s: Array
) -> tuple[Array, Array]:
  """Returns mean and variance of q(z_s | z_t, x0 = x0_hat) (VDM eq. 25-32).

  This is the distribution of the less noisy image z_s if z_t and the clean
  image are known. With r = exp(logsnr_t - logsnr_s) and c = 1 - r:
    mean = alpha_s (r z_t / alpha_t + c x0_hat),  variance = sigma_s^2 c.
  """
  # c = 1 - r. `expm1` stays precise where r is close to 1.
  r, c = jnp.exp(logsnr_t - logsnr_s), -jnp.expm1(logsnr_t - logsnr_s)
  alpha_t, _ = alpha_sigma(logsnr_t)
  alpha_s, sigma_s = alpha_sigma(logsnr_s)
  mean = alpha_s * (r * z_t / alpha_t + c * x0_hat)
  return mean, sigma_s**2 * c


def guide(
  eps_cond: Array, eps_uncond: Array, guidance_weight: Array | float
) -> Array:
  """Applies classifier-free guidance: (1 + w) eps_cond - w eps_uncond.

  Args:
    eps_cond: noise estimated with the conditioning view.
    eps_uncond: noise estimated without the conditioning view.
    guidance_weight: w; with w = 0 the result is `eps_cond`.
  """
  return (1.0 + guidance_weight) * eps_cond - guidance_weight * eps_uncond


def logsnr_bin(logsnr: Float[Array, " B"], num_bins: int) -> Array:
  """Returns the log-SNR bin of each example, as int32 [B].

  The range from -20 to +20 is divided into `num_bins` bins of equal width. The
  noisiest examples are in bin 0.
  """
  unit = (logsnr - LOGSNR_MIN) / (LOGSNR_MAX - LOGSNR_MIN)
  return jnp.clip((unit * num_bins).astype(jnp.int32), 0, num_bins - 1)
