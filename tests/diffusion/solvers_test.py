# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Solvers on Gaussian data, whose sampling path is known, and guidance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sampler_test import gaussian, sample
from toy_sampling import HW, cameras, keys, random_bank, toy_denoiser

from threedim_jax.diffusion.sampler import sample_view
from threedim_jax.diffusion.solvers import SOLVERS

SD = 0.2


def sampled(solver: str, num_sample_steps: int):
  return sample(
    gaussian(SD),
    random_bank(4, 1, 1),
    cameras(4),
    num_sample_steps=num_sample_steps,
    guidance_weight=0.0,
    solver=solver,
  )


def exact():
  """The end of the deterministic path from the same noise.

  z_t is N(0, alpha^2 SD^2 + sigma^2), and the path keeps each value's quantile:
  z_0 = SD z_1 (up to 4.5e-5 at both ends of log-SNR).
  """
  rngs = jax.vmap(lambda rng: jax.random.split(rng, 3)[0])(keys(4))
  normal = lambda rng: jax.random.normal(rng, (HW, HW, 3))
  return np.clip(SD * np.asarray(jax.vmap(normal)(rngs)), -1.0, 1.0)


def errors(solver: str) -> list[float]:
  """Root mean square distance to the exact end with 16, 32, 64 steps."""
  return [
    float(np.sqrt(np.mean((sampled(solver, T) - exact()) ** 2)))
    for T in (16, 32, 64)
  ]


def test_orders_of_convergence():
  """Four times the steps: a fourth of DDIM's error, a sixteenth of 2M's."""
  ddim, dpmpp = errors("ddim"), errors("dpmpp_2m")
  assert 3.0 < ddim[0] / ddim[2] < 6.0 and ddim[2] < 0.01, ddim
  assert 10.0 < dpmpp[0] / dpmpp[2], dpmpp
  assert dpmpp[0] < 0.6 * ddim[0] and dpmpp[1] < 0.2 * ddim[1]


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_number_of_steps_may_be_traced(solver):
  """One program for all of them, with the same pictures."""
  options = {"guidance_weight": 1.5, "solver": solver}
  args = keys(2), random_bank(2, 2, 3), cameras(2)
  traced = jax.jit(
    lambda T: sample_view(toy_denoiser, *args, num_sample_steps=T, **options)
  )
  for T in (3, 5):
    known = sample(toy_denoiser, *args[1:], num_sample_steps=T, **options)
    np.testing.assert_allclose(traced(jnp.int32(T)), known, atol=2e-5)
  assert traced._cache_size() == 1


def test_cameras_may_be_encoded_once_a_view():
  """Those of the known views and of the target, each of them once."""
  negative = lambda cam: jax.tree.map(jnp.negative, cam)

  def denoise_fn(z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask):
    cams = negative(cond_cam), negative(target_cam)
    return toy_denoiser(z_t, logsnr, cond_view, *cams, cond_mask)

  args = random_bank(2, 2, 3), cameras(2), keys(2)
  options = {"num_sample_steps": 3, "guidance_weight": 1.0}
  plain = sample(toy_denoiser, *args, **options)
  ahead = sample(denoise_fn, *args, encode_camera=negative, **options)
  np.testing.assert_allclose(ahead, plain, atol=1e-6)
  assert np.std(plain) > 0.1


def batches(interval, num_sample_steps=8, weight=2.0):
  """(views, examples given to the denoiser in every step)."""
  seen = []

  def denoise_fn(z_t, *args):
    jax.debug.callback(lambda: seen.append(z_t.shape[0]))
    return toy_denoiser(z_t, *args)

  view = sample(
    denoise_fn,
    random_bank(2, 1, 1),
    cameras(2),
    num_sample_steps=num_sample_steps,
    guidance_weight=weight,
    guidance_interval=interval,
  )
  jax.effects_barrier()
  return np.asarray(view), sorted(seen)


def test_guidance_interval_halves_the_batch_outside():
  """Log-SNR at the 8 steps' starts: -20, -3.2, -1.8, -.8, 0, .8, 1.8, 3.2."""
  view, seen = batches((-1.0, 1.0))
  assert seen == [2] * 5 + [4] * 3
  everywhere, seen = batches((-20.0, 20.0))
  assert seen == [4] * 8
  nowhere, seen = batches((-21.0, -20.5))
  assert seen == [2] * 8
  plain, _ = batches((-20.0, 20.0), weight=0.0)
  np.testing.assert_allclose(nowhere, plain, atol=1e-5)
  assert np.abs(view - everywhere).max() > 1e-3
  assert np.abs(view - plain).max() > 1e-3
