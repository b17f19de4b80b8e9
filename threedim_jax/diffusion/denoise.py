# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`DenoiseFn`: the interface between networks and diffusion.

The sampler calls a `DenoiseFn`, which estimates the noise. The loss calls a
`PredictFn`, which returns the network's raw output. The sampler and the loss
accept any function of the right type, so tests can pass exact formulas in place
of a network.

  apply_fn = bind_apply(model, params)  # the network with its parameters
  denoise_fn = make_denoise_fn(apply_fn, prediction="eps")
  eps_hat = denoise_fn(z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask)
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Bool, Float, PyTree

from threedim_jax.diffusion.clean_frame import make_predict_fn
from threedim_jax.diffusion.equations import (
  eps_from_v,
  eps_from_x0,
  expand,
  v_from_eps,
  x0_from_eps,
  x0_from_v,
)
from threedim_jax.views.cameras import Camera


@runtime_checkable  # for the type checks under pytest
class DenoiseFn(Protocol):
  """A function that estimates the noise in a target view of an object.

  It also gets a conditioning view: a known view of the same object.

  Args:
    z_t: noisy target views.
    logsnr: log-SNR of `z_t`.
    cond_view: conditioning views in [-1, 1].
    cond_cam: cameras of `cond_view`, or data computed from these cameras, such
      as encoded rays.
    target_cam: cameras of the target views, in the same form as `cond_cam`.
    cond_mask: False for unconditional examples.

  Returns:
    eps_hat, the estimated noise in `z_t`.
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


# What a network predicts: "eps" is the noise (3DiM), "v" is the velocity of
# `v_from_eps`, and "view" is the clean target view, predicted from pure noise
# in a single step (the regression model of the paper's ablation).
PREDICTIONS = ("eps", "v", "view")


def make_denoise_fn(
  apply_fn: Callable[..., Array], prediction: str
) -> DenoiseFn:
  """Makes a `DenoiseFn` from a network that takes two frames.

  Args:
    apply_fn: the network, as described in `clean_frame.make_predict_fn`.
    prediction: what the network predicts, one of `PREDICTIONS`. The `DenoiseFn`
      converts the prediction to noise.

  Raises:
    ValueError: `prediction` is not one of `PREDICTIONS`.
  """
  check_prediction(prediction)
  predict_fn = make_predict_fn(apply_fn)

  def denoise_fn(z_t, logsnr, *args):
    out = predict_fn(z_t, logsnr, *args)
    if prediction == "v":
      return eps_from_v(z_t, out, expand(logsnr, z_t))
    if prediction == "view":
      return eps_from_x0(z_t, out, expand(logsnr, z_t))
    return out

  return denoise_fn


def check_prediction(prediction: str) -> None:
  """Raises a ValueError if `prediction` is not one of `PREDICTIONS`."""
  if prediction not in PREDICTIONS:
    raise ValueError(f"prediction {prediction!r} is not one of {PREDICTIONS}")


def network_target(
  prediction: str, x0: Array, eps: Array, logsnr: Array
) -> Array:
  """Returns the array that the network's output should match: eps, v or x0.

  Args:
    prediction: what the network predicts: "eps", "v" or "view" (x0).
    x0: clean views.
    eps: the noise that was added to `x0`.
    logsnr: log-SNR of the noisy views; broadcasts against `x0`.
  """
  check_prediction(prediction)
  if prediction == "v":
    return v_from_eps(x0, eps, logsnr)
  return x0 if prediction == "view" else eps


def x0_from_output(
  prediction: str, z_t: Array, out: Array, logsnr: Array
) -> Array:
  """Computes the clean view from the network's output.

  Args:
    prediction: what the network predicts: "eps", "v" or "view" (x0).
    z_t: the noisy views that went into the network.
    out: the network's output for `z_t`.
    logsnr: log-SNR of `z_t`; broadcasts against `z_t`.
  """
  check_prediction(prediction)
  if prediction == "v":
    return x0_from_v(z_t, out, logsnr)
  return out if prediction == "view" else x0_from_eps(z_t, out, logsnr)


def bind_apply(
  model: Any, params: PyTree, **apply_options
) -> Callable[..., Array]:
  """Binds parameters to a Flax network, for use with `make_predict_fn`.

  Args:
    model: a Flax module that takes two frames.
    params: parameters of the module.
    **apply_options: further arguments of `model.apply`, such as `rngs`. Dropout
      is off unless `train=True` is given.

  Returns:
    The `apply_fn` of `make_predict_fn`: from network inputs to network output.
  """
  options = {"train": False, **apply_options}
  return lambda *args: model.apply({"params": params}, *args, **options)


def bind_params(model: Any, params: PyTree, prediction: str) -> DenoiseFn:
  """Wraps a Flax network and its parameters as a `DenoiseFn`, without dropout.

  `model` and `params` are those of `bind_apply`. `prediction` is that of
  `make_denoise_fn`.
  """
  return make_denoise_fn(bind_apply(model, params), prediction)
