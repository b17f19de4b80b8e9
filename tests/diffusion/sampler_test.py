# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Ancestral sampling with denoisers whose exact answer is known.

Which view each step looks at is the subject of `sampler_conditioning_test.py`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_sampling import HW, cameras, keys, random_bank, toy_denoiser

from threedim_jax.diffusion import equations
from threedim_jax.diffusion.denoise import make_denoise_fn
from threedim_jax.diffusion.sampler import sample_view
from threedim_jax.diffusion.solvers import SOLVERS


def sample(denoise_fn, bank, target_cam, rngs=None, **options):
  """sample_view in one program: op by op takes longer to compile."""
  rngs = keys(bank.views.shape[0]) if rngs is None else rngs
  fn = jax.jit(functools.partial(sample_view, denoise_fn, **options))
  return fn(rngs, bank, target_cam)


def point_mass(x0):
  """The exact denoiser of a data set that holds only `x0`, [B, H, W, 3]."""

  def denoise_fn(z_t, logsnr, *_):
    x0_twice = jnp.repeat(x0, 2, axis=0)  # conditional and unconditional
    return equations.eps_from_x0(z_t, x0_twice, equations.expand(logsnr, z_t))

  return denoise_fn


@pytest.mark.parametrize("solver", SOLVERS)
def test_point_mass_data_is_returned(solver):
  """Ancestral: to the last digits of float32. The last step adds no noise,
  which would be off by sigma at t = 0: 4.5e-5. The others keep a trace of z_1,
  as large as that.
  """
  rng = np.random.default_rng(1)
  x0 = jnp.float32(rng.uniform(-1.0, 1.0, (2, HW, HW, 3)))
  view = sample(
    point_mass(x0),
    random_bank(2, 1, 1),
    cameras(2),
    num_sample_steps=8,
    guidance_weight=1.0,
    solver=solver,
  )
  atol = 1e-6 if solver == "ancestral" else 3e-4
  np.testing.assert_allclose(view, x0, atol=atol)


def test_regression_samples_its_answer_in_one_step():
  """Within half of one of 255 levels: float32 rounds at a log-SNR of -20."""
  rng = np.random.default_rng(1)
  answer = jnp.float32(rng.uniform(-1.0, 1.0, (2, HW, HW, 3)))
  view = sample(
    make_denoise_fn(lambda *_: jnp.repeat(answer, 2, axis=0), "view"),
    random_bank(2, 1, 1),
    cameras(2),
    num_sample_steps=1,
    guidance_weight=0.0,
  )
  np.testing.assert_allclose(view, answer, atol=1.0 / 255)


def test_x0_is_clipped_at_every_step():
  """Data outside [-1, 1] is pulled to the range, not amplified out of it."""
  x0 = jnp.full((1, HW, HW, 3), 3.0)
  view = sample(
    point_mass(x0),
    random_bank(1, 1, 1),
    cameras(1),
    num_sample_steps=8,
    guidance_weight=0.0,
  )
  np.testing.assert_allclose(view, 1.0, atol=1e-6)


def gaussian(sd: float):
  """The exact denoiser of pixels that are independent N(0, sd^2)."""

  def denoise_fn(z_t, logsnr, *_):
    alpha, sigma = equations.alpha_sigma(equations.expand(logsnr, z_t))
    return sigma * z_t / (alpha**2 * sd**2 + sigma**2)

  return denoise_fn


def schedule(num_sample_steps: int) -> np.ndarray:
  """Log-SNR before the first step, between them, and after the last one."""
  t = np.linspace(1.0, 0.0, num_sample_steps + 1)
  low, high = np.arctan(np.exp(-10.0)), np.arctan(np.exp(10.0))
  return -2.0 * np.log(np.tan(low + t * (high - low)))


@functools.partial(jax.jit, static_argnums=2)
def draws(rng, num_valid, num_sample_steps):
  """What chance decides for one element: the documented use of its key."""
  rng_init, rng_index, rng_steps = jax.random.split(rng, 3)
  of_steps = lambda rng: jax.vmap(lambda i: jax.random.fold_in(rng, i))(
    jnp.arange(num_sample_steps)
  )
  slots = jax.vmap(lambda rng: jax.random.randint(rng, (), 0, num_valid))(
    of_steps(rng_index)
  )
  pairs = jax.vmap(jax.random.split)(of_steps(rng_steps))
  normal = lambda rng: jax.random.normal(rng, (HW, HW, 3))
  return normal(rng_init), slots, jax.vmap(jax.vmap(normal))(pairs)


jitted_denoiser = jax.jit(toy_denoiser)


def python_sampler(rng, bank, element, target_cam, num_sample_steps, weight):
  """The sampler once more: one element, a plain loop, float64, by the book."""
  z, slots, noises = draws(rng, bank.num_valid, num_sample_steps)
  bank, target_cam = jax.tree.map(np.asarray, (bank, target_cam))
  z, noises = np.float64(z), np.asarray(noises)
  logsnr = schedule(num_sample_steps)
  for i, slot in enumerate(slots.tolist()):
    logsnr_t, logsnr_s = logsnr[i : i + 2]
    clean = bank.views[element, slot][None]
    cond, uncond = (
      np.float64(
        jitted_denoiser(
          np.float32(z)[None],
          np.float32([logsnr_t]),
          view,
          jax.tree.map(lambda x: x[element, slot][None], bank.cams),  # noqa: B023
          jax.tree.map(lambda x: x[element][None], target_cam),
          np.array([conditional]),
        )[0]
      )
      for view, conditional in ((clean, True), (noises[i, 0][None], False))
    )
    eps = cond + weight * (cond - uncond)
    var_t, var_s = 1 / (1 + np.exp(logsnr_t)), 1 / (1 + np.exp(logsnr_s))
    x0 = (z - np.sqrt(var_t) * eps) / np.sqrt(1 - var_t)
    x0 = np.clip(x0, -1.0, 1.0)
    # Condition the joint Gaussian of (z_s, z_t) given x0 on z_t.
    cov = np.sqrt((1 - var_t) / (1 - var_s)) * var_s
    z = np.sqrt(1 - var_s) * x0 + cov / var_t * (z - np.sqrt(1 - var_t) * x0)
    if i < num_sample_steps - 1:
      z += np.sqrt(var_s - cov**2 / var_t) * noises[i, 1]
  return np.clip(z, -1.0, 1.0)


def test_equals_a_python_loop():
  bank, target_cam, rngs = random_bank(2, 3, 5), cameras(2), keys(2)
  views = sample(
    toy_denoiser,
    bank,
    target_cam,
    rngs,
    num_sample_steps=4,
    guidance_weight=1.5,
  )
  for i in range(2):
    expected = python_sampler(rngs[i], bank, i, target_cam, 4, 1.5)
    np.testing.assert_allclose(views[i], expected, atol=2e-4)
    assert np.std(expected) > 0.1, "not all clipped: something is compared"


def test_an_element_depends_on_its_own_key_and_views_only():
  bank, cam, rngs = random_bank(3, 2, 4), cameras(3), keys(3)
  options = {"num_sample_steps": 3, "guidance_weight": 1.0}
  fn = jax.jit(functools.partial(sample_view, toy_denoiser, **options))
  together = fn(rngs, bank, cam)
  np.testing.assert_array_equal(together, fn(rngs, bank, cam))

  def chosen(elements):
    """The same with these elements of the batch alone, in this order."""
    take = lambda x: x[np.array(elements)] if x.ndim else x
    return fn(rngs[np.array(elements)], *jax.tree.map(take, (bank, cam)))

  for elements in ([1], [2, 1, 0]):  # alone in its batch, and beside others
    np.testing.assert_allclose(
      chosen(elements), together[np.array(elements)], atol=1e-5
    )
  # Another key is another picture.
  other = fn(keys(3, seed=9), bank, cam)
  assert np.all(np.max(np.abs(other - together), axis=(1, 2, 3)) > 0.1)


@pytest.mark.parametrize("num_given, capacity", [(2, 1), (0, 3)])
def test_views_that_do_not_fit_the_bank(num_given, capacity):
  with pytest.raises(ValueError, match=f"{num_given} given views"):
    random_bank(1, num_given, capacity)
