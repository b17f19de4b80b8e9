# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The networks. `get_model(config.model)` is the only factory."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from threedim_jax.models.conditioning import RayCodes, encode_rays
from threedim_jax.models.patches import patch_cameras
from threedim_jax.models.xunet import XUNet
from threedim_jax.views.cameras import Camera

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def get_model(model_config: Any) -> XUNet:
  """Builds the network from `config.model`; an unknown key is a TypeError.

  Args:
    model_config: the fields of `XUNet`: a ConfigDict or a dictionary.
  """
  fields = dict(model_config)
  return XUNet(**fields | {"dtype": DTYPES[fields["dtype"]]})


def dummy_inputs(resolution: int, batch_size: int = 1) -> tuple:
  """Arguments that the network can be traced with: (views, logsnr, ...)."""
  B, F, R = batch_size, 2, resolution
  cameras = Camera(jnp.zeros((B, F, 4, 4)), jnp.zeros((B, F, 3, 3)))
  views = jnp.zeros((B, F, R, R, 3))
  return views, jnp.zeros((B, F)), cameras, jnp.ones((B,), bool)


def make_init_fn(config: Any) -> Callable[[Key[Array, ""]], PyTree]:
  """Returns a function from a random key to the network's parameters.

  Args:
    config: a whole configuration; `model` and `data.resolution` are read.
  """
  model = get_model(config.model)
  inputs = dummy_inputs(config.data.resolution)
  return lambda rng: model.init(rng, *inputs, train=False)["params"]


def get_camera_encoder(
  model_config: Any, params: PyTree, hw: tuple[int, int]
) -> Callable[[Camera], Camera | RayCodes]:
  """Returns a function that encodes cameras as the network would.

  The sampler encodes each view's rays once and passes the result to the network
  in the camera's place, at every step.

  Args:
    model_config: the fields of `XUNet`.
    params: of the network.
    hw: height and width of the pictures in pixels.

  Returns:
    Camera -> `RayCodes`. Networks with relative cameras need both cameras of a
    pair to compute rays: for them it returns the camera unchanged.
  """
  fields = dict(model_config)
  if fields.get("relative_cameras"):
    return lambda cameras: cameras
  convs = params["ConditioningProcessor_0"]
  count = sum(name.startswith("Conv_") for name in convs)
  kernels = [convs[f"Conv_{i}"]["kernel"] for i in range(count)]
  p = fields.get("patch_size", XUNet.patch_size)
  return lambda cameras: encode_rays(
    kernels, patch_cameras(cameras, p), (hw[0] // p, hw[1] // p)
  )
