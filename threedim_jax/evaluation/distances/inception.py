# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The InceptionV3 network of FID, as in pytorch-fid.

The user supplies the weights. The network differs from the usual InceptionV3 in
four ways. Average pools do not count the padding. The last block has a maximum
pool in place of an average pool. Pictures are resized to 299x299 without
antialiasing (half-pixel centres). The classifier has 1008 classes, but is not
used here. Modules are named as in pytorch-fid's state dict. Every batch norm is
folded into the convolution before it.

  params = load_params("pt_inception-2015-12-05-6726825d.pth")
  features = extract(params, images_u8)  # [B, 2048]
"""

import functools
import os

import flax.linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, UInt8

from threedim_jax.evaluation.distances.torch_file import (
  StateDict,
  fold_batch_norm,
  read_state_dict,
)

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
ORIGIN = (
  "--inception_weights takes pt_inception-2015-12-05-6726825d.pth, an asset of"
  " the release fid_weights of github.com/mseitzer/pytorch-fid. Download it"
  " yourself: threedim_jax downloads nothing."
)
_RESOLUTION = 299

Maps = Float[Array, "B _ _ _"]


def _conv(x, name, features, size=(1, 1), strides=1, padding="SAME"):
  """Applies a convolution, then ReLU.

  The convolution's parameters already include its batch norm.

  Args:
    x: feature maps [B, H, W, C].
    name: name of the convolution within the calling module.
    features: number of output channels.
    size: height and width of the kernel.
    strides: stride in both directions.
    padding: "SAME" or "VALID".
  """
  conv = nn.Conv(
    features,
    size,
    strides,
    padding,
    precision=jax.lax.Precision.HIGHEST,
    name=name,
  )
  return nn.relu(conv(x))


def _shrink(x, name, features):
  return _conv(x, name, features, (3, 3), strides=2, padding="VALID")


def _max_pool_shrink(x):
  return nn.max_pool(x, (3, 3), (2, 2))


def _avg_pool(x):
  return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def _max_pool(x):
  return nn.max_pool(x, (3, 3), padding="SAME")


class InceptionA(nn.Module):
  """Computes four branches from 35x35 feature maps, and concatenates them.

  The branches are a 1x1 convolution, a 5x5 convolution, two 3x3 convolutions in
  a row, and an average pool.
  """

  pool_features: int

  @nn.compact
  def __call__(self, x: Maps) -> Maps:
    five = _conv(x, "branch5x5_1", 48)
    double = _conv(x, "branch3x3dbl_1", 64)
    double = _conv(double, "branch3x3dbl_2", 96, (3, 3))
    branches = (
      _conv(x, "branch1x1", 64),
      _conv(five, "branch5x5_2", 64, (5, 5)),
      _conv(double, "branch3x3dbl_3", 96, (3, 3)),
      _conv(_avg_pool(x), "branch_pool", self.pool_features),
    )
    return jnp.concatenate(branches, -1)


class InceptionB(nn.Module):
  """Shrinks 35x35 feature maps to 17x17 in three parallel branches.

  The branches end in a 3x3 convolution, two 3x3 convolutions in a row, and a
  maximum pool. The outputs of the branches are concatenated.
  """

  @nn.compact
  def __call__(self, x: Maps) -> Maps:
    double = _conv(x, "branch3x3dbl_1", 64)
    double = _conv(double, "branch3x3dbl_2", 96, (3, 3))
    branches = (
      _shrink(x, "branch3x3", 384),
      _shrink(double, "branch3x3dbl_3", 96),
      _max_pool_shrink(x),
    )
    return jnp.concatenate(branches, -1)


class InceptionC(nn.Module):
  """Computes four branches from 17x17 feature maps, and concatenates them.

  The branches are a 1x1 convolution, a 7x7 convolution, two 7x7 convolutions in
  a row, and an average pool. Each 7x7 convolution is split into a 1x7
  convolution and a 7x1 convolution.
  """

  width: int

  @nn.compact
  def __call__(self, x: Maps) -> Maps:
    seven = _conv(x, "branch7x7_1", self.width)
    seven = _conv(seven, "branch7x7_2", self.width, (1, 7))
    double = _conv(x, "branch7x7dbl_1", self.width)
    for k, size in ((2, (7, 1)), (3, (1, 7)), (4, (7, 1))):
      double = _conv(double, f"branch7x7dbl_{k}", self.width, size)
    branches = (
      _conv(x, "branch1x1", 192),
      _conv(seven, "branch7x7_3", 192, (7, 1)),
      _conv(double, "branch7x7dbl_5", 192, (1, 7)),
      _conv(_avg_pool(x), "branch_pool", 192),
    )
    return jnp.concatenate(branches, -1)


class InceptionD(nn.Module):
  """Shrinks 17x17 feature maps to 8x8 in three parallel branches.

  The branches end in a 3x3 convolution, a 7x7 convolution followed by a 3x3
  convolution, and a maximum pool. The outputs of the branches are concatenated.
  """

  @nn.compact
  def __call__(self, x: Maps) -> Maps:
    three = _conv(x, "branch3x3_1", 192)
    seven = _conv(x, "branch7x7x3_1", 192)
    seven = _conv(seven, "branch7x7x3_2", 192, (1, 7))
    seven = _conv(seven, "branch7x7x3_3", 192, (7, 1))
    branches = (
      _shrink(three, "branch3x3_2", 320),
      _shrink(seven, "branch7x7x3_4", 192),
      _max_pool_shrink(x),
    )
    return jnp.concatenate(branches, -1)


class InceptionE(nn.Module):
  """Computes four branches from 8x8 feature maps, and concatenates them.

  The branches are a 1x1 convolution, two branches that each end in parallel 1x3
  and 3x1 convolutions, and an average or maximum pool.
  """

  max_pool: bool  # pools by maximum instead of average

  @nn.compact
  def __call__(self, x: Maps) -> Maps:
    three = _conv(x, "branch3x3_1", 384)
    double = _conv(x, "branch3x3dbl_1", 448)
    double = _conv(double, "branch3x3dbl_2", 384, (3, 3))
    pooled = _max_pool(x) if self.max_pool else _avg_pool(x)
    branches = (
      _conv(x, "branch1x1", 320),
      _conv(three, "branch3x3_2a", 384, (1, 3)),
      _conv(three, "branch3x3_2b", 384, (3, 1)),
      _conv(double, "branch3x3dbl_3a", 384, (1, 3)),
      _conv(double, "branch3x3dbl_3b", 384, (3, 1)),
      _conv(pooled, "branch_pool", 192),
    )
    return jnp.concatenate(branches, -1)


class InceptionV3(nn.Module):
  """InceptionV3 without its classifier: computes 2048 features per picture.

  The input pictures have 299x299 pixels and values in [-1, 1].
  """

  @nn.compact
  def __call__(self, x: Float[Array, "B H W 3"]) -> Float[Array, "B D"]:
    x = _shrink(x, "Conv2d_1a_3x3", 32)
    x = _conv(x, "Conv2d_2a_3x3", 32, (3, 3), padding="VALID")
    x = _conv(x, "Conv2d_2b_3x3", 64, (3, 3))
    x = _max_pool_shrink(x)
    x = _conv(x, "Conv2d_3b_1x1", 80)
    x = _conv(x, "Conv2d_4a_3x3", 192, (3, 3), padding="VALID")
    x = _max_pool_shrink(x)
    x = InceptionA(32, name="Mixed_5b")(x)
    x = InceptionA(64, name="Mixed_5c")(x)
    x = InceptionA(64, name="Mixed_5d")(x)
    x = InceptionB(name="Mixed_6a")(x)
    x = InceptionC(128, name="Mixed_6b")(x)
    x = InceptionC(160, name="Mixed_6c")(x)
    x = InceptionC(160, name="Mixed_6d")(x)
    x = InceptionC(192, name="Mixed_6e")(x)
    x = InceptionD(name="Mixed_7a")(x)
    x = InceptionE(max_pool=False, name="Mixed_7b")(x)
    x = InceptionE(max_pool=True, name="Mixed_7c")(x)
    return x.mean((1, 2))


def load_params(path: os.PathLike | str) -> PyTree:
  """Loads the network's parameters from the file that pytorch-fid publishes.

  Raises:
    UserError: the file is missing, or is not the published file. The message
      says where to get it.
  """
  state = read_state_dict(path, sha256=SHA256, origin=ORIGIN)
  return params_from_state_dict(state)


def param_shapes() -> PyTree:
  """Returns the shape and dtype of each parameter, as a tree."""
  picture = jax.ShapeDtypeStruct((1, _RESOLUTION, _RESOLUTION, 3), jnp.float32)
  init = functools.partial(InceptionV3().init, jax.random.key(0))
  return jax.eval_shape(init, picture)["params"]


def params_from_state_dict(state: StateDict) -> PyTree:
  """Converts pytorch-fid's state dict to the parameters of `InceptionV3`.

  The weights of the classifier are left out.
  """
  params = {}
  for *unit, kind in flatten_dict(param_shapes()):
    name = ".".join(unit)
    if kind == "kernel":
      fold = fold_batch_norm(state, conv=f"{name}.conv", norm=f"{name}.bn")
      params |= {(*unit, k): v for k, v in fold.items()}
  return unflatten_dict(params)


def preprocess(images_u8: UInt8[Array, "B H W 3"]) -> Float[Array, "B h w 3"]:
  """Resizes pictures to 299x299 and scales their values to [-1, 1].

  The resize is bilinear with half-pixel centres, and never antialiased.
  """
  B, *_, C = images_u8.shape
  x = jax.image.resize(
    images_u8.astype(jnp.float32) / 255,
    (B, _RESOLUTION, _RESOLUTION, C),
    "bilinear",
    antialias=False,
  )
  return 2 * x - 1


def extract(
  params: PyTree, images_u8: UInt8[Array, "B H W 3"]
) -> Float[Array, "B D"]:
  """Returns the D = 2048 features per picture that FID and KID compare.

  The pictures may have any size. `params` comes from `load_params`.
  """
  return InceptionV3().apply({"params": params}, preprocess(images_u8))
