# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`DenoiseFn`: the interface between networks and diffusion.

Losses and sampler call a `DenoiseFn` and do not know what network it is, if
any: tests pass exact formulas. Networks do not know about diffusion.

  denoise_fn = make_denoise_fn(apply_fn, prediction="eps")
  eps_hat = denoise_fn(z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask)
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from threedim_jax import LOGSNR_MAX, LOGSNR_MIN
from threedim_jax.diffusion.equations import eps_from_v, eps_from_x0, expand
from threedim_jax.views.cameras import Camera


@runtime_checkable  # for the type checks under pytest
class DenoiseFn(Protocol):
  """Estimates the noise in a view, given another view and both cameras.

  Args:
    z_t: noisy target views.
    logsnr: their log-SNR.
    cond_view: conditioning views.
    cond_cam: cameras of `cond_view`, or what the network takes in their place,
      such as encoded rays.
    target_cam: as `cond_cam`, of the target views.
    cond_mask: False for unconditional examples.

  Returns:
    eps_hat.
  """

  def __call__(
    self,
    z_t: Float[Array, "B H W 3"],
    logsnr: Float[Array, " B"],
    cond_view: Float[Array, "B H W 3"],
    cond_cam: Camera | PyTree,
    target_cam: Camera | PyTree,
    cond_mask: Bool[Array, " B"],
  ) -> Float[Array, "B H W 3"]: ...


PREDICTIONS = ("eps", "v", "view")


def make_denoise_fn(
  apply_fn: Callable[..., Array], prediction: str
) -> DenoiseFn:
  """Makes a `DenoiseFn` of a network that takes two frames.

  The conditioning frame gets the highest log-SNR, because it is clean. In
  unconditional examples it gets the lowest: 3DiM (appendix) defines them as
  those whose conditioning frame is at the maximum noise level. The caller
  replaces that frame by noise, see `mask_view`.

  Args:
    apply_fn: (views [B, 2, H, W, 3], logsnr [B, 2], cameras [B, 2], cond_mask)
      -> [B, H, W, 3]; parameters and dropout are bound already.
    prediction: what the network returns. "eps" (3DiM): the noise. "v": the
      velocity of `v_from_eps`. "view": the clean target x0, predicted from the
      conditioning view alone; z_t is not shown to the network. This is the
      paper's regression ablation, and sampling it takes one step.

  Raises:
    ValueError: `prediction` is none of these.
  """
  if prediction not in PREDICTIONS:
    raise ValueError(f"prediction {prediction!r} is none of {PREDICTIONS}")

  def denoise_fn(z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask):
    cond_logsnr = jnp.where(cond_mask, LOGSNR_MAX, LOGSNR_MIN)
    seen, seen_logsnr = z_t, logsnr
    if prediction == "view":
      # Both frames show the conditioning view. With a blank target frame, whose
      # group norms compute 0 / 0, the network learns a constant colour.
      seen, seen_logsnr = cond_view, jnp.full_like(logsnr, LOGSNR_MIN)
    out = apply_fn(
      jnp.stack([cond_view, seen], axis=1),
      jnp.stack([cond_logsnr, seen_logsnr], axis=1),
      jax.tree.map(lambda a, b: jnp.stack([a, b], 1), cond_cam, target_cam),
      cond_mask,
    )
    if prediction == "v":
      return eps_from_v(z_t, out, expand(logsnr, z_t))
    if prediction == "view":
      return eps_from_x0(z_t, out, expand(logsnr, z_t))
    return out

  return denoise_fn


def bind_params(
  model: Any, params: PyTree, prediction: str, **apply_options
) -> DenoiseFn:
  """Makes a `DenoiseFn` of a Flax network and its parameters.

  Args:
    model: a Flax module that is called as `make_denoise_fn` describes.
    params: its parameters.
    prediction: what its output means, see `make_denoise_fn`.
    **apply_options: passed to `model.apply`, for example `rngs`. Without
      `train=True` there is no dropout.
  """
  options = {"train": False, **apply_options}
  apply_fn = lambda *args: model.apply({"params": params}, *args, **options)
  return make_denoise_fn(apply_fn, prediction)


def mask_view(
  cond_view: Float[Array, "B H W 3"],
  cond_mask: Bool[Array, " B"],
  noise: Float[Array, "B H W 3"],
) -> Float[Array, "B H W 3"]:
  """Replaces the conditioning frame of unconditional examples by noise."""
  return jnp.where(expand(cond_mask, cond_view), cond_view, noise)
