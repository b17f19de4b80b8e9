# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The seam between networks and everything that uses one.

A `DenoiseFn` is all that training, sampling and the oracles of the tests
share: neither the losses nor the sampler know of a model, and no model knows
of diffusion.

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
  """Estimates the noise in z_t, given one view and both cameras.

  A camera may be any pytree that the network takes for one.
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
  """Wraps a two-frame network as a `DenoiseFn`.

  Args:
    apply_fn: (views [B, 2, H, W, 3], logsnr [B, 2], cameras [B, 2], cond_mask)
      -> [B, H, W, 3]; parameters, dropout and the like already bound.
    prediction: what the network's output means: "eps" (3DiM), "v", or "view",
      the target itself, told without a look at z_t. That one is regression,
      an ablation of the paper: sampling it takes one step.

  Returns:
    A function that gives the clean frame the highest log-SNR and an
    unconditional one the lowest: an unconditional example is one whose
    conditioning frame is at the maximum noise level (3DiM, appendix). The
    caller replaces that frame by noise, see `mask_view`.
  """
  if prediction not in PREDICTIONS:
    raise ValueError(f"prediction {prediction!r} is none of {PREDICTIONS}")

  def denoise_fn(z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask):
    cond_logsnr = jnp.where(cond_mask, LOGSNR_MAX, LOGSNR_MIN)
    seen, seen_logsnr = z_t, logsnr
    if prediction == "view":
      # Both frames show the known view: from a blank one, whose group norms
      # divide nothing by nothing, the network learns a constant colour.
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
