# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The algebra against closed forms in float64."""

from hypothesis import given
from hypothesis import strategies as st
import jax.numpy as jnp
import numpy as np
import pytest

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN
from threedim_jax.diffusion import equations

# Unit roundoff of float32, and how many of them an expression may lose.
ROUND = 2.0**-24
SLACK = 8

# Odd lengths: the extremes and zero are in them.
LOGSNRS = np.linspace(LOGSNR_MIN, LOGSNR_MAX, 41)
logsnrs = st.floats(LOGSNR_MIN, LOGSNR_MAX, width=32)
pixels = st.floats(-1.0, 1.0, width=32)
normals = st.floats(-5.0, 5.0, width=32)
times = st.floats(0.0, 1.0, width=32)


def alpha_sigma64(logsnr):
  """alpha and sigma in float64, from the definition of the log-SNR."""
  snr = np.exp(np.float64(logsnr))
  return np.sqrt(snr / (1.0 + snr)), np.sqrt(1.0 / (1.0 + snr))


def test_schedule_is_the_cosine_one():
  t = np.linspace(0.0, 1.0, 1001, dtype=np.float32)
  low, high = (np.arctan(np.exp(-0.5 * x)) for x in (LOGSNR_MAX, LOGSNR_MIN))
  expected = -2.0 * np.log(np.tan(low + t.astype(np.float64) * (high - low)))
  got = equations.logsnr_schedule_cosine(jnp.asarray(t))
  np.testing.assert_allclose(got, expected, atol=2e-5)
  assert np.all(np.diff(got) < 0.0), "log-SNR falls with time"


def test_schedule_ends_exactly_at_the_extremes():
  ends = equations.logsnr_schedule_cosine(jnp.array([0.0, 0.5, 1.0]))
  assert ends.tolist() == [LOGSNR_MAX, 0.0, LOGSNR_MIN] == [20.0, 0.0, -20.0]


def test_alpha_and_sigma():
  alpha, sigma = equations.alpha_sigma(jnp.float32(LOGSNRS))
  np.testing.assert_allclose(alpha**2 + sigma**2, 1.0, atol=4 * ROUND)
  alpha64, sigma64 = alpha_sigma64(LOGSNRS)
  np.testing.assert_allclose(alpha, alpha64, rtol=1e-6)
  np.testing.assert_allclose(sigma, sigma64, rtol=1e-6)


def test_the_noisy_picture_by_hand():
  """At log-SNR 0 both shares are sqrt(1/2); at ln 3 they are 3/4 and 1/4."""
  logsnr = jnp.float32([0.0, np.log(3.0)])
  z_t = equations.q_sample(jnp.float32(2.0), jnp.float32(-1.0), logsnr)
  by_hand = [2 * 0.5**0.5 - 0.5**0.5, 2 * 0.75**0.5 - 0.25**0.5]
  np.testing.assert_allclose(z_t, by_hand, rtol=1e-6)


@given(pixels, normals, logsnrs)
def test_round_trips_of_the_predictions(x0, eps, logsnr):
  """x0, eps and v from each other, with the error that z_t's rounding costs."""
  x0, eps, logsnr = jnp.float32(x0), jnp.float32(eps), jnp.float32(logsnr)
  alpha, sigma = alpha_sigma64(logsnr)
  z_t = equations.q_sample(x0, eps, logsnr)
  v = equations.v_from_eps(x0, eps, logsnr)
  assert abs(z_t - (alpha * x0 + sigma * eps)) < SLACK * ROUND * 6.0
  assert abs(v - (alpha * eps - sigma * x0)) < SLACK * ROUND * 6.0
  # One rounding of z_t, and of alpha and sigma, over what divides.
  lost = SLACK * ROUND * (1.0 + abs(float(x0)) + abs(float(eps)))
  x0_back = equations.x0_from_eps(z_t, eps, logsnr)
  assert abs(x0_back - x0) <= lost / alpha
  eps_back = equations.eps_from_x0(z_t, x0, logsnr)
  assert abs(eps_back - eps) <= lost / sigma
  # The rotation (z_t, v) -> (x0, eps) loses nothing.
  assert abs(equations.eps_from_v(z_t, v, logsnr) - eps) <= lost


@pytest.mark.parametrize(
  "logsnr_t, logsnr_s",
  [(-20.0, -8.0), (-8.0, -7.9), (-1.0, 2.0), (0.0, 1e-4), (5.0, 20.0)],
)
def test_q_posterior_is_gaussian_conditioning(logsnr_t, logsnr_s):
  """q(z_s | z_t, x0) of the joint Gaussian of z_s and z_t, given x0."""
  alpha_t, sigma_t = alpha_sigma64(logsnr_t)
  alpha_s, sigma_s = alpha_sigma64(logsnr_s)
  z_t, x0 = 0.7, -0.3
  # z_t is z_s, scaled, plus fresh noise: that gives their covariance.
  scale = alpha_t / alpha_s
  cov = scale * sigma_s**2
  mean = alpha_s * x0 + cov / sigma_t**2 * (z_t - alpha_t * x0)
  var = sigma_s**2 - cov**2 / sigma_t**2
  got_mean, got_var = equations.q_posterior(
    *map(jnp.float32, (z_t, x0, logsnr_t, logsnr_s))
  )
  np.testing.assert_allclose(got_mean, mean, rtol=2e-5)
  np.testing.assert_allclose(got_var, var, rtol=2e-5)


@given(logsnrs, logsnrs)
def test_q_posterior_composes_to_the_marginal(a, b):
  """z_t ~ q(z_t | x0), then z_s ~ q(z_s | z_t, x0), is z_s ~ q(z_s | x0)."""
  logsnr_t, logsnr_s = jnp.float32(min(a, b)), jnp.float32(max(a, b))
  alpha_t, sigma_t = alpha_sigma64(logsnr_t)
  alpha_s, sigma_s = alpha_sigma64(logsnr_s)
  zero, one = jnp.float32(0.0), jnp.float32(1.0)
  # The mean is linear in (z_t, x0): read off its coefficients.
  of_z, var = equations.q_posterior(one, zero, logsnr_t, logsnr_s)
  of_x, _ = equations.q_posterior(zero, one, logsnr_t, logsnr_s)
  of_z, of_x, var = float(of_z), float(of_x), float(var)
  assert var >= 0.0
  np.testing.assert_allclose(of_z * alpha_t + of_x, alpha_s, rtol=2e-5)
  np.testing.assert_allclose(of_z**2 * sigma_t**2 + var, sigma_s**2, rtol=2e-5)


def test_guidance_convention():
  """w = 0 is the conditional model, w = -1 the unconditional one."""
  cond, uncond = jnp.array([1.0, 2.0]), jnp.array([10.0, -4.0])
  guide = lambda w: equations.guide(cond, uncond, jnp.float32(w)).tolist()
  assert guide(0.0) == [1.0, 2.0]
  assert guide(-1.0) == [10.0, -4.0]
  assert guide(3.0) == [4.0 * 1.0 - 3.0 * 10.0, 4.0 * 2.0 + 3.0 * 4.0]


def test_bins_are_equal_and_the_noisiest_is_first():
  edges = jnp.linspace(LOGSNR_MIN, LOGSNR_MAX, 9)
  middles = 0.5 * (edges[1:] + edges[:-1])
  assert equations.logsnr_bin(middles, 8).tolist() == list(range(8))
  # A bin owns its lower edge; the last one its upper edge as well.
  assert equations.logsnr_bin(edges, 8).tolist() == [*range(8), 7]
