# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The denoising loss (3DiM sec. 2.1).

  loss, aux = diffusion_loss(predict_fn, batch, rng, prediction="eps", ...)

`diffusion_loss` adds noise at random times t, makes some examples unconditional
and compares the network's output with `network_target`. The dictionary `aux`
holds the sum of losses and the number of examples in each log-SNR bin. Unlike
means, these sums and counts can be added up over micro-batches.
"""

from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN, NUM_LOGSNR_BINS
from threedim_jax.diffusion.clean_frame import PredictFn, mask_view
from threedim_jax.diffusion.denoise import network_target, x0_from_output
from threedim_jax.diffusion.equations import (
  expand,
  logsnr_bin,
  logsnr_schedule_cosine,
  q_sample,
)
from threedim_jax.views.pair_batch import PairBatch
from threedim_jax.views.pixels import from_u8


@no_type_check  # for the reason given at `views.cameras.Camera`
@flax.struct.dataclass
class Noised:
  """A training batch whose target views were noised at random times t.

  Attributes:
    x0: clean target views in [-1, 1].
    z_t: noisy target views.
    eps: the noise in `z_t`.
    logsnr: log-SNR of `z_t`.
    cond_view: conditioning views; pure noise in unconditional examples.
    cond_mask: False for unconditional examples.
  """

  x0: Float[Array, "B H W 3"]
  z_t: Float[Array, "B H W 3"]
  eps: Float[Array, "B H W 3"]
  logsnr: Float[Array, " B"]
  cond_view: Float[Array, "B H W 3"]
  cond_mask: Bool[Array, " B"]


def draw_noise(
  batch: PairBatch,
  rng: Key[Array, ""],
  *,
  prediction: str,
  uncond_fraction: float,
  logsnr_shift: float = 0.0,
) -> Noised:
  """Adds noise to the target views and makes some examples unconditional.

  Each example gets a random time, random noise, and a random choice between
  conditional and unconditional. The arguments have the same meaning as in
  `diffusion_loss`.
  """
  rng_t, rng_eps, rng_mask, rng_cond = jax.random.split(rng, 4)
  x0, cond_view = from_u8(batch.target_view), from_u8(batch.cond_view)
  B = x0.shape[0]
  if prediction == "view":
    # A regression model samples in one step from pure noise, so it is trained
    # on pure noise.
    logsnr = jnp.full((B,), LOGSNR_MIN)
  else:
    logsnr = logsnr_schedule_cosine(jax.random.uniform(rng_t, (B,)))
    logsnr = jnp.clip(logsnr + logsnr_shift, LOGSNR_MIN, LOGSNR_MAX)
  eps = jax.random.normal(rng_eps, x0.shape)
  cond_mask = jax.random.uniform(rng_mask, (B,)) >= uncond_fraction
  return Noised(
    x0=x0,
    z_t=q_sample(x0, eps, expand(logsnr, x0)),
    eps=eps,
    logsnr=logsnr,
    cond_view=mask_view(
      cond_view, cond_mask, jax.random.normal(rng_cond, x0.shape)
    ),
    cond_mask=cond_mask,
  )


def predict(
  predict_fn: PredictFn, batch: PairBatch, noised: Noised
) -> Float[Array, "B H W 3"]:
  """Calls the network on noisy views and returns its raw output.

  Args:
    predict_fn: the network, from `clean_frame.make_predict_fn`.
    batch: pairs of views; only their cameras are used.
    noised: the result of `draw_noise` for `batch`.
  """
  return predict_fn(
    noised.z_t,
    noised.logsnr,
    noised.cond_view,
    batch.cond_cam,
    batch.target_cam,
    noised.cond_mask,
  )


def loss_weight(
  logsnr: Float[Array, " B"], prediction: str, min_snr_gamma: float | None
) -> Float[Array, " B"] | float:
  """Returns the weight of each example's squared error in the loss.

  If `min_snr_gamma` is None, every weight is 1. Otherwise the weight turns the
  squared error of the network's output into the squared error of the clean view
  times min(SNR, min_snr_gamma) (min-SNR, arXiv 2303.09556, eq. 8).

  Args:
    logsnr: log-SNR of each example.
    prediction: "eps" or "v"; "view" only if `min_snr_gamma` is None.
    min_snr_gamma: upper limit on the SNR in the formula above, or None.
  """
  if min_snr_gamma is None:
    return 1.0
  if prediction == "v":  # x0_hat - x0 = sigma (v - v_hat)
    return jnp.minimum(
      jax.nn.sigmoid(logsnr), min_snr_gamma * jax.nn.sigmoid(-logsnr)
    )
  # x0_hat - x0 = sigma / alpha (eps - eps_hat)
  return jnp.minimum(1.0, min_snr_gamma * jnp.exp(-logsnr))


def diffusion_loss(
  predict_fn: PredictFn,
  batch: PairBatch,
  rng: Key[Array, ""],
  *,
  prediction: str,
  uncond_fraction: float,
  logsnr_shift: float = 0.0,
  min_snr_gamma: float | None = None,
) -> tuple[Float[Array, ""], dict[str, Array]]:
  """Computes the weighted mean squared error of the network's output.

  The network should output `network_target`; `loss_weight` gives the weights.

  Args:
    predict_fn: the network, from `clean_frame.make_predict_fn`.
    batch: pairs of views.
    rng: key for all random numbers.
    prediction: what the network predicts: "eps" (3DiM), "v" or "view", see
      `PREDICTIONS`. For "view", z_t is pure noise, as in one-step sampling.
    uncond_fraction: share of unconditional examples (3DiM: 0.1). Training on
      these examples makes classifier-free guidance possible.
    logsnr_shift: number added to every random log-SNR (3DiM: 0). A negative
      shift makes noisy examples more frequent.
    min_snr_gamma: see `loss_weight` (3DiM: None). Must be None for "view".

  Returns:
    The mean loss, and {"bin_sum", "bin_count"}: the sum of losses and the
    number of examples in each log-SNR bin, noisiest bin first.
  """
  noised = draw_noise(
    batch,
    rng,
    prediction=prediction,
    uncond_fraction=uncond_fraction,
    logsnr_shift=logsnr_shift,
  )
  target = network_target(
    prediction, noised.x0, noised.eps, expand(noised.logsnr, noised.x0)
  )
  out = predict(predict_fn, batch, noised)
  error = jnp.mean(jnp.square(out - target), axis=(1, 2, 3))
  error = error * loss_weight(noised.logsnr, prediction, min_snr_gamma)
  bins = jax.nn.one_hot(
    logsnr_bin(noised.logsnr, NUM_LOGSNR_BINS), NUM_LOGSNR_BINS
  )
  aux = {"bin_sum": error @ bins, "bin_count": jnp.sum(bins, axis=0)}
  return jnp.mean(error), aux


def denoised_grid(
  predict_fn: PredictFn,
  batch: PairBatch,
  rng: Key[Array, ""],
  *,
  prediction: str,
) -> Float[Array, "B 4 H W 3"]:
  """Denoises each example in a single step, for visual inspection.

  The arguments have the same meaning as in `diffusion_loss`.

  Returns:
    Four pictures of each example, in [-1, 1]: the conditioning view, the noisy
    view, the denoised view and the target view.
  """
  noised = draw_noise(batch, rng, prediction=prediction, uncond_fraction=0.0)
  out = predict(predict_fn, batch, noised)
  x0_hat = x0_from_output(
    prediction, noised.z_t, out, expand(noised.logsnr, out)
  )
  columns = [noised.cond_view, noised.z_t, x0_hat, noised.x0]
  return jnp.clip(jnp.stack(columns, axis=1), -1.0, 1.0)
