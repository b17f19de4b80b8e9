# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The solvers: each takes one sampling step from z_t to the less noisy z_s.

All solvers have the same arguments, but not every solver uses all of them:

  z_t: noisy image at the start of the step
  x0_hat: the network's estimate of the clean image in z_t
  x0_before: x0_hat of the previous step
  times: log-SNRs at the start and end of the step
  noise: standard normal noise

With stochastic conditioning, x0_hat and x0_before are estimated from different
conditioning views. `dpmpp_2m` combines the two estimates as if both came from
the same conditioning view, which is correct only on average.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from threedim_jax.diffusion.equations import (
  alpha_sigma,
  eps_from_x0,
  q_posterior,
)


class Times(NamedTuple):
  """The log-SNRs at the start and end of a sampling step.

  The step goes from time t to time s, and the previous step went from time r to
  time t. `logsnr_r`, `logsnr_t` and `logsnr_s` are the log-SNRs at these times.
  """

  logsnr_r: Float[Array, ""]  # start of the previous step; logsnr_t in step 0
  logsnr_t: Float[Array, ""]  # start of this step
  logsnr_s: Float[Array, ""]  # end of this step
  is_first: Bool[Array, ""]
  is_last: Bool[Array, ""]


# (z_t, x0_hat, x0_before, times, noise) -> z_s
Solver = Callable[[Array, Array, Array, Times, Array], Array]


def ancestral(
  z_t: Array, x0_hat: Array, x0_before: Array, times: Times, noise: Array
) -> Array:
  """Draws z_s from q(z_s | z_t, x0 = x0_hat), as in 3DiM (sec. 2.2)."""
  del x0_before
  mean, var = q_posterior(z_t, x0_hat, times.logsnr_t, times.logsnr_s)
  # The last step ends at the data, so it returns the mean without noise.
  return mean + jnp.where(times.is_last, 0.0, jnp.sqrt(var)) * noise


def ddim(
  z_t: Array, x0_hat: Array, x0_before: Array, times: Times, noise: Array
) -> Array:
  """Takes a DDIM step with eta = 0, which adds no noise (arXiv 2010.02502).

  z_s = alpha_s x0_hat + sigma_s eps_hat, where eps_hat follows from z_t and
  x0_hat.
  """
  del x0_before, noise
  alpha_s, sigma_s = alpha_sigma(times.logsnr_s)
  return alpha_s * x0_hat + sigma_s * eps_from_x0(z_t, x0_hat, times.logsnr_t)


def dpmpp_2m(
  z_t: Array, x0_hat: Array, x0_before: Array, times: Times, noise: Array
) -> Array:
  """Takes a step of DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2).

  This step goes from time t to time s, and the previous step went from time r
  to time t. With lambda = logsnr / 2:
    h = lambda_s - lambda_t
    q = (lambda_t - lambda_r) / h
    D = x0_hat + (x0_hat - x0_before) / (2 q)
    z_s = (sigma_s / sigma_t) z_t + alpha_s (1 - exp(-h)) D
  The first step has no previous estimate, and the last step is too long for
  extrapolation, so both use D = x0_hat.
  """
  del noise
  h = 0.5 * (times.logsnr_s - times.logsnr_t)
  h_before = 0.5 * (times.logsnr_t - times.logsnr_r)
  first_order = times.is_first | times.is_last
  # 1 / (2 q). In the first step h_before is 0, so do not divide by it there.
  weight = jnp.where(
    first_order, 0.0, h / jnp.where(first_order, 1.0, 2.0 * h_before)
  )
  D = x0_hat + weight * (x0_hat - x0_before)
  alpha_s, sigma_s = alpha_sigma(times.logsnr_s)
  _, sigma_t = alpha_sigma(times.logsnr_t)
  return sigma_s / sigma_t * z_t - alpha_s * jnp.expm1(-h) * D


SOLVERS: dict[str, Solver] = {
  "ancestral": ancestral,
  "ddim": ddim,
  "dpmpp_2m": dpmpp_2m,
}
