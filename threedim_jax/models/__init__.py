# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The networks; `get_model(config.model)` builds one.

Code here may import from only these other folders of the package: `views` and
`runtime`.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from threedim_jax.models.conditioning import RayCodes, encode_rays
from threedim_jax.models.patches import patch_cameras
from threedim_jax.models.xunet import XUNet
from threedim_jax.views.cameras import Camera

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


# With `XUNet.joint_conv`, a TPU is faster if the ray embeddings are wide (the
# paper's 1024) and slower if they are narrow (128), see launch/benchmarks.md.
# The threshold between the two widths is a guess.
MIN_EMB_CH_OF_JOINT_CONV = 512


def get_model(model_config: Any, platform: str = "cpu") -> XUNet:
  """Builds the network that `config.model` describes.

  Args:
    model_config: the fields of `XUNet`, as a ConfigDict or a dictionary.
    platform: "cpu", "gpu" or "tpu", the platform to optimise the network for.
      The network runs on all three, with the same parameters.

  Raises:
    TypeError: a key of `model_config` is not a field of `XUNet`.
  """
  fields = dict(model_config)
  wide = fields.get("emb_ch", XUNet.emb_ch) >= MIN_EMB_CH_OF_JOINT_CONV
  return XUNet(
    **fields
    | {
      "dtype": DTYPES[fields["dtype"]],
      "joint_conv": platform == "tpu" and wide,
    }
  )


def dummy_inputs(resolution: int, batch_size: int = 1) -> tuple:
  """Returns placeholder inputs for tracing a network.

  Args:
    resolution: height and width of the views, in pixels.
    batch_size: number of examples, B.

  Returns:
    (views, logsnr, cameras, cond_mask), see `XUNet.__call__`.
  """
  B, F, R = batch_size, 2, resolution
  cameras = Camera(jnp.zeros((B, F, 4, 4)), jnp.zeros((B, F, 3, 3)))
  views = jnp.zeros((B, F, R, R, 3))
  return views, jnp.zeros((B, F)), cameras, jnp.ones((B,), bool)


def make_init_fn(config: Any) -> Callable[[Key[Array, ""]], PyTree]:
  """Returns a function that makes random network parameters from a random key.

  Args:
    config: a whole configuration; only `model` and `data.resolution` are read.
  """
  model = get_model(config.model)
  inputs = dummy_inputs(config.data.resolution)
  return lambda rng: model.init(rng, *inputs, train=False)["params"]


def get_camera_encoder(
  model: XUNet, params: PyTree, hw: tuple[int, int]
) -> Callable[[Camera], Camera | RayCodes]:
  """Returns a function that encodes cameras in the same way as the network.

  With this function the sampler encodes the rays of a target camera only once
  per view, and passes the encoded rays to the network in every step.

  Args:
    model: the network.
    params: parameters of the network.
    hw: height and width of the pictures in pixels.

  Returns:
    A function from cameras to `RayCodes` (encoded rays). The function returns
    cameras unchanged if the network cannot take `RayCodes`: with
    `relative_cameras` the network computes rays from both cameras of a pair,
    and with `joint_conv` the network encodes rays in every step.
  """
  if model.relative_cameras or model.joint_conv:
    return lambda cameras: cameras
  convs = params["ConditioningProcessor_0"]
  count = sum(name.startswith("Conv_") for name in convs)
  kernels = [convs[f"Conv_{i}"]["kernel"] for i in range(count)]
  p = model.patch_size
  return lambda cameras: encode_rays(
    kernels, patch_cameras(cameras, p), (hw[0] // p, hw[1] // p)
  )
