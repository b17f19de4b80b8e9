# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Prepares the conditioning frame and its log-SNR for the network.

The network takes two frames: a clean conditioning frame and a noisy target
frame. In unconditional examples, which classifier-free guidance needs, pure
noise replaces the conditioning frame. `mask_view` fills in this noise, and
`make_predict_fn` gives the network the log-SNR of both frames.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN
from threedim_jax.diffusion.equations import expand

# Takes the arguments of a `DenoiseFn` and returns the network's raw output:
# noise, v or the clean view, see `denoise.PREDICTIONS`.
PredictFn = Callable[..., Float[Array, "B H W 3"]]


def make_predict_fn(apply_fn: Callable[..., Array]) -> PredictFn:
  """Makes a `PredictFn` from a network that takes two stacked frames.

  A `PredictFn` takes the same arguments as a `denoise.DenoiseFn`, with each
  frame in its own array, and returns the network's raw output. The `PredictFn`
  sets the log-SNR of the conditioning frame (3DiM, appendix): the highest
  log-SNR for a clean frame, and the lowest for the pure noise of an
  unconditional example. The caller must fill in this noise with `mask_view`.

  Args:
    apply_fn: the network with its parameters, as a function
      (views [B, 2, H, W, 3], logsnr [B, 2], cameras [B, 2], cond_mask [B]) ->
      raw network output [B, H, W, 3].
  """

  def predict_fn(z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask):
    cond_logsnr = jnp.where(cond_mask, LOGSNR_MAX, LOGSNR_MIN)
    return apply_fn(
      jnp.stack([cond_view, z_t], axis=1),
      jnp.stack([cond_logsnr, logsnr], axis=1),
      jax.tree.map(lambda a, b: jnp.stack([a, b], 1), cond_cam, target_cam),
      cond_mask,
    )

  return predict_fn


def mask_view(
  cond_view: Float[Array, "B H W 3"],
  cond_mask: Bool[Array, " B"],
  noise: Float[Array, "B H W 3"],
) -> Float[Array, "B H W 3"]:
  """Replaces the conditioning frames of unconditional examples with noise.

  Args:
    cond_view: conditioning frames in [-1, 1].
    cond_mask: False for unconditional examples.
    noise: standard normal noise.
  """
  return jnp.where(expand(cond_mask, cond_view), cond_view, noise)
