# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The clean frame: its log-SNR, and noise in its place where it is masked.

The network takes two frames. The conditioning frame is clean, and the target
frame is noisy. `make_predict_fn` tells the network the log-SNR of both.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN
from threedim_jax.diffusion.equations import expand

# Takes the arguments of a `DenoiseFn` and returns the network's own output,
# which `prediction` interprets.
PredictFn = Callable[..., Float[Array, "B H W 3"]]


def make_predict_fn(apply_fn: Callable[..., Array]) -> PredictFn:
  """Makes a `PredictFn` of a network that takes two frames.

  The conditioning frame gets the highest log-SNR, because it is clean. In
  unconditional examples it gets the lowest: 3DiM (appendix) defines them as
  those whose conditioning frame is at the maximum noise level. The caller
  replaces that frame by noise, see `mask_view`.

  Args:
    apply_fn: (views [B, 2, H, W, 3], logsnr [B, 2], cameras [B, 2], cond_mask)
      -> [B, H, W, 3]; parameters and dropout are bound already.
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
  """Replaces the conditioning frame of unconditional examples by noise."""
  return jnp.where(expand(cond_mask, cond_view), cond_view, noise)
