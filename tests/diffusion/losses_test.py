# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The loss for networks whose error is known, and what they are shown."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_training import pair_batch

from threedim_jax.diffusion import equations
from threedim_jax.diffusion.clean_frame import make_predict_fn
from threedim_jax.diffusion.losses import (
  NUM_LOGSNR_BINS,
  denoised_grid,
  diffusion_loss,
  draw_noise,
)
from threedim_jax.views.pixels import from_u8

# One size: every operation is then compiled once for all tests.
B, SHAPE = 64, (4, 4, 3)


RNG = jax.random.key(3)


def drawn(batch, prediction="eps", uncond_fraction=0.1, **options):
  """What `loss_of` draws with the same arguments."""
  return draw_noise(
    batch,
    RNG,
    prediction=prediction,
    uncond_fraction=uncond_fraction,
    **options,
  )


def loss_of(
  predict_fn, batch, prediction="eps", uncond_fraction=0.1, **options
):
  return diffusion_loss(
    predict_fn,
    batch,
    RNG,
    prediction=prediction,
    uncond_fraction=uncond_fraction,
    **options,
  )


def knows_target(batch, error):
  """Returns the true noise, off by `error`: a number for each example."""
  x0 = from_u8(batch.target_view)

  def denoise_fn(z_t, logsnr, *_):
    eps = equations.eps_from_x0(z_t, x0, equations.expand(logsnr, z_t))
    return eps + equations.expand(jnp.float32(error), z_t)

  return denoise_fn


def test_loss_is_a_mean_over_pixels_and_examples():
  """Not a norm: an error of 2 in one of four examples costs 4 / 4."""
  batch = pair_batch(B, 4)
  loss, _ = loss_of(knows_target(batch, [0, 0, 2, 0] * (B // 4)), batch)
  # The answer is as good as float32 recovers eps where sigma is small.
  np.testing.assert_allclose(loss, 1.0, atol=1e-3)
  loss, _ = loss_of(knows_target(batch, [0] * B), batch)
  np.testing.assert_allclose(loss, 0.0, atol=1e-3)


def test_bins_add_up_to_the_loss():
  """Sums and counts per bin of log-SNR; an example's error goes to its bin."""
  batch = pair_batch(B, 4)
  errors = np.linspace(0.5, 3.0, B)
  loss, aux = loss_of(knows_target(batch, errors), batch)
  assert aux["bin_sum"].shape == aux["bin_count"].shape == (NUM_LOGSNR_BINS,)
  assert NUM_LOGSNR_BINS == 8
  np.testing.assert_allclose(np.sum(aux["bin_count"]), B)
  np.testing.assert_allclose(np.sum(aux["bin_sum"]) / B, loss, rtol=1e-5)
  logsnr = np.asarray(drawn(batch).logsnr)
  for i in range(8):
    inside = (logsnr >= -20 + 5 * i) & (logsnr < -15 + 5 * i)
    assert aux["bin_count"][i] == np.sum(inside)
    expected = np.sum(errors[inside] ** 2)
    np.testing.assert_allclose(aux["bin_sum"][i], expected, rtol=5e-3)


def constant_network(seed=1):
  """(a random answer in float64, the `PredictFn` that always gives it)."""
  answer = np.float32(np.random.default_rng(seed).standard_normal((B, *SHAPE)))
  return np.float64(answer), lambda *_: jnp.asarray(answer)


@pytest.mark.parametrize(
  "prediction, gamma",
  [("eps", None), ("v", None), ("view", None), ("eps", 5.0), ("v", 5.0)],
)
def test_loss_is_the_error_of_what_the_network_computes(prediction, gamma):
  """In float64, from the definitions; with gamma, as min-SNR defines it."""
  batch = pair_batch(B, 4)
  answer, predict_fn = constant_network()
  loss, aux = loss_of(predict_fn, batch, prediction, min_snr_gamma=gamma)
  noised = jax.device_get(drawn(batch, prediction))
  snr = np.exp(np.float64(noised.logsnr))[:, None, None, None]
  alpha, sigma = np.sqrt(snr / (1 + snr)), np.sqrt(1 / (1 + snr))
  x0 = np.float64(batch.target_view) / 127.5 - 1.0
  z_t, eps = np.float64(noised.z_t), np.float64(noised.eps)
  np.testing.assert_allclose(z_t, alpha * x0 + sigma * eps, atol=1e-5)
  if gamma is None:
    target = {"eps": eps, "v": alpha * eps - sigma * x0, "view": x0}
    expected = np.mean((answer - target[prediction]) ** 2)
  else:
    x0_hat = {
      "eps": (z_t - sigma * answer) / alpha,
      "v": alpha * z_t - sigma * answer,
    }[prediction]
    assert np.min(snr) < gamma < np.max(snr)
    expected = np.mean(np.minimum(snr, gamma) * (x0_hat - x0) ** 2)
  np.testing.assert_allclose(loss, expected, rtol=2e-4 if gamma else 1e-5)
  np.testing.assert_allclose(np.sum(aux["bin_sum"]) / B, loss, rtol=1e-5)


def test_regression_is_shown_pure_noise_and_a_clean_view():
  """The lowest log-SNR in every example; noise as `sample_view` starts from."""
  batch = pair_batch(B, 4)
  noised = jax.device_get(drawn(batch, "view", uncond_fraction=0.0))
  np.testing.assert_array_equal(noised.logsnr, -20.0)
  np.testing.assert_allclose(noised.z_t, noised.eps, atol=1e-4)
  assert abs(np.mean(noised.z_t)) < 0.1 and abs(np.std(noised.z_t) - 1) < 0.1
  np.testing.assert_array_equal(noised.cond_view, from_u8(batch.cond_view))


def test_a_shift_makes_training_noisier():
  batch = pair_batch(B, 4)
  plain = drawn(batch).logsnr
  shifted = drawn(batch, logsnr_shift=-2.0).logsnr
  np.testing.assert_allclose(
    shifted, np.clip(np.asarray(plain) - 2.0, -20.0, 20.0), rtol=1e-6
  )
  levels = []
  denoise_fn = lambda z_t, logsnr, *_: levels.append(logsnr) or z_t
  loss_of(denoise_fn, batch, logsnr_shift=-2.0)
  np.testing.assert_array_equal(levels[0], shifted)


def test_what_the_network_is_shown():
  """The clean frame first; unconditional examples get noise in its place."""
  batch = pair_batch(B, 4)
  seen = {}

  def apply_fn(views, logsnr, cameras, cond_mask):
    seen.update(
      views=views, logsnr=logsnr, cameras=cameras, cond_mask=cond_mask
    )
    return views[:, 1]

  loss_of(make_predict_fn(apply_fn), batch, uncond_fraction=0.4)
  seen = jax.device_get(seen)
  mask, cond_view = seen["cond_mask"], np.asarray(from_u8(batch.cond_view))
  assert 10 < np.sum(mask) < 54, "both kinds are in the batch"
  np.testing.assert_array_equal(seen["views"][mask, 0], cond_view[mask])
  noise = seen["views"][~mask, 0]
  assert abs(np.mean(noise)) < 0.15 and abs(np.std(noise) - 1.0) < 0.1
  assert len(np.unique(noise)) > 0.99 * noise.size, "each has its own noise"
  # A clean frame is at the maximum, one of pure noise at the minimum.
  np.testing.assert_array_equal(
    seen["logsnr"][:, 0], np.where(mask, 20.0, -20.0)
  )
  noised = jax.device_get(drawn(batch, uncond_fraction=0.4))
  np.testing.assert_array_equal(seen["logsnr"][:, 1], noised.logsnr)
  np.testing.assert_array_equal(seen["views"][:, 1], noised.z_t)
  poses = [batch.cond_cam.world_from_cam, batch.target_cam.world_from_cam]
  np.testing.assert_array_equal(
    seen["cameras"].world_from_cam, np.stack(poses, axis=1)
  )
  # z_t is the target, noised to that level.
  alpha = np.sqrt(1 / (1 + np.exp(-noised.logsnr)))[:, None, None, None]
  target = np.asarray(from_u8(batch.target_view))
  rest = noised.z_t - alpha * target
  np.testing.assert_allclose(
    rest, np.sqrt(1 - alpha**2) * noised.eps, atol=2e-4
  )


def test_draws_are_per_example_and_follow_their_laws():
  noised = jax.device_get(drawn(pair_batch(4000, 4)))
  # 4000 coins of 0.1: 400 +- 19.
  assert 325 < np.sum(~noised.cond_mask) < 475
  # t is uniform on [0, 1]: the largest gap between the sorted draws and the
  # diagonal (Kolmogorov-Smirnov) is below 1.95 / sqrt(n), once in a thousand.
  # (theta is linear in t, from 4.5e-5 to pi / 2 less 4.5e-5).
  t = np.sort(np.arctan(np.exp(-0.5 * noised.logsnr)) / (0.5 * np.pi))
  gap = np.max(np.abs(t - (np.arange(4000) + 0.5) / 4000))
  assert gap < 1.95 / np.sqrt(4000)
  assert abs(np.std(noised.eps) - 1.0) < 0.01
  # The three are drawn independently of each other.
  for a, b in (
    (noised.logsnr, noised.cond_mask),
    (noised.logsnr, noised.eps[:, 0, 0, 0]),
    (noised.cond_mask, noised.eps[:, 0, 0, 0]),
  ):
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.06


@pytest.mark.parametrize("prediction", ["eps", "v", "view"])
def test_grid_columns(prediction):
  """conditioning | noisy | x0_hat | target; a perfect x0_hat is the target."""
  batch = pair_batch(B, 4)
  noised = drawn(batch, prediction, uncond_fraction=0.0)
  logsnr = equations.expand(noised.logsnr, noised.x0)
  answer = {
    "eps": noised.eps,
    "v": equations.v_from_eps(noised.x0, noised.eps, logsnr),
    "view": noised.x0,
  }[prediction]
  grid = denoised_grid(lambda *_: answer, batch, RNG, prediction=prediction)
  assert grid.shape == (B, 4, *SHAPE)
  target = from_u8(batch.target_view)
  cond_view, noisy = from_u8(batch.cond_view), jnp.clip(noised.z_t, -1.0, 1.0)
  for column, expected in enumerate([cond_view, noisy, target, target]):
    # eps at log-SNR -20 tells x0 to within 5e-3 in float32.
    atol = 1e-2 if prediction == "eps" and column == 2 else 1e-6
    np.testing.assert_allclose(grid[:, column], expected, atol=atol)
