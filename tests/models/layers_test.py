# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The blocks against float64 NumPy, written from their definitions."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_params import random_params

from threedim_jax.models.layers import (
  AttnBlock,
  GroupNorm,
  ResnetBlock,
  random_mask,
)

B, H, W, C, E = 2, 4, 4, 32, 8
N = 2 * B  # frames, those of an example side by side


def features(*shape, seed=0) -> jax.Array:
  """Frames of different brightness and contrast."""
  rng = np.random.default_rng(seed)
  h = rng.standard_normal(shape) * rng.uniform(0.5, 3.0, (shape[0], 1, 1, 1))
  return jnp.float32(h + rng.uniform(-2.0, 2.0, (shape[0], 1, 1, 1)))


def apply(module, params, *args, **kwargs):
  """Jitted: op by op takes longer to compile."""
  fn = jax.jit(lambda p, *a: module.apply({"params": p}, *a, **kwargs))
  return fn(params, *args)


# --- The same in NumPy -------------------------------------------------------


def np_swish(x):
  return x / (1.0 + np.exp(-x))


def np_group_norm(h, params, num_groups=32):
  """Statistics of one frame: over H, W and the channels of a group."""
  grouped = h.reshape(*h.shape[:-1], num_groups, -1)
  axes = (1, 2, 4)
  mean = grouped.mean(axes, keepdims=True)
  var = grouped.var(axes, keepdims=True)
  normed = ((grouped - mean) / np.sqrt(var + 1e-6)).reshape(h.shape)
  return normed * params["scale"] + params["bias"]


def np_conv3x3(h, params):
  """'Same' padding with zeros, stride 1."""
  padded = np.pad(h, ((0, 0), (1, 1), (1, 1), (0, 0)))
  height, width = h.shape[1:3]
  return params["bias"] + sum(
    padded[:, y : y + height, x : x + width] @ params["kernel"][y, x]
    for y in range(3)
    for x in range(3)
  )


def np_film(h, emb, params):
  dense = params["Dense_0"]
  emb = emb @ dense["kernel"] + dense["bias"]
  scale, shift = np.split(emb, 2, axis=-1)
  return h * (1.0 + scale) + shift


def np_resample(h, direction):
  if direction == "down":
    rows = (h[:, ::2] + h[:, 1::2]) / 2
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 2
  if direction == "up":
    return h.repeat(2, axis=1).repeat(2, axis=2)
  return h


def np_resnet_block(h_in, emb, params, direction):
  """BigGAN: both paths are resampled, after norm and swish, before the conv."""
  h = np_swish(np_group_norm(h_in, params["GroupNorm_0"]))
  h = np_conv3x3(np_resample(h, direction), params["Conv_0"])
  h = np_film(np_group_norm(h, params["GroupNorm_1"]), emb, params["FiLM_0"])
  h = np_conv3x3(np_swish(h), params["Conv_1"])
  skip = np_resample(h_in, direction)
  if "Dense_0" in params:
    skip = skip @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
  return (h + skip) / math.sqrt(2.0)


def swapped(h):
  """Frames 1, 0, 3, 2, ...: the other one of the same example."""
  return h[np.arange(len(h)) ^ 1]


def np_attn_block(h_in, params, num_heads, swap_frames):
  """Per example, frame and head; keys and values perhaps of the other frame."""
  h = np_group_norm(h_in, params["GroupNorm_0"])
  other = swapped(h) if swap_frames else h
  projections = params["AttnLayer_0"]
  out = np.zeros((*h_in.shape[:3], num_heads, C // num_heads))
  for i in range(len(h)):
    tokens = [x[i].reshape(-1, C) for x in (h, other, other)]
    for n in range(num_heads):
      q, k, v = (
        x @ projections[name]["kernel"][:, n] + projections[name]["bias"][n]
        for x, name in zip(
          tokens,
          ["DenseGeneral_0", "DenseGeneral_1", "DenseGeneral_2"],
          strict=True,
        )
      )
      weights = np.exp(q @ k.T / math.sqrt(C // num_heads))
      weights /= weights.sum(axis=1, keepdims=True)
      out[i, :, :, n] = (weights @ v).reshape(H, W, -1)
  proj = params["DenseGeneral_0"]
  out = out.reshape(h_in.shape) @ proj["kernel"] + proj["bias"]
  return (out + h_in) / math.sqrt(2.0)


# --- Tests -------------------------------------------------------------------


@pytest.mark.parametrize("num_groups", [32, 4])
def test_group_norm_is_flax_group_norm_on_each_frame(num_groups):
  h = features(N, H, W, 2 * C)  # two channels a group, or sixteen
  params = random_params(GroupNorm(), 1, h)
  flax_norm = nn.GroupNorm(num_groups=num_groups, epsilon=1e-6)
  expected = apply(flax_norm, params, h)
  got = apply(GroupNorm(num_groups), params, h)
  np.testing.assert_allclose(got, expected, atol=2e-5)
  by_hand = np_group_norm(np.float64(h), params, num_groups)
  np.testing.assert_allclose(got, by_hand, atol=2e-5)


@pytest.mark.parametrize(
  "direction, num_features, size",
  [(None, None, 4), (None, 64, 4), ("down", None, 2), ("up", None, 8)],
)
def test_resnet_block(direction, num_features, size):
  h, emb = features(N, H, W, C), features(N, size, size, E, seed=1)
  block = ResnetBlock(num_features, resample=direction)
  params = random_params(block, 3, h, emb, train=False)
  got = apply(block, params, h, emb, train=False)
  assert got.shape == (N, size, size, num_features or C)
  assert ("Dense_0" in params) == (num_features == 64)
  expected = np_resnet_block(np.float64(h), np.float64(emb), params, direction)
  np.testing.assert_allclose(got, expected, atol=2e-4)


def test_random_mask_is_fair_and_independent():
  """Of the right density everywhere, and unlike other keys and neighbours."""
  shape, keep = (4, 32, 32, 64), 0.9
  draw = jax.jit(lambda rng: random_mask(rng, shape, keep))
  masks = [np.asarray(draw(rng)) for rng in jax.random.split(jax.random.key(3))]
  same = np.asarray(draw(jax.random.split(jax.random.key(3))[0]))
  np.testing.assert_array_equal(masks[0], same)

  def far_off(share, expected, count):
    """In standard deviations."""
    return abs(share - expected) / math.sqrt(expected * (1 - expected) / count)

  for mask in masks:
    assert far_off(mask.mean(), keep, mask.size) < 4
    for axis in range(4):  # every slice, and every pair of neighbours
      others = tuple(i for i in range(4) if i != axis)
      for share in mask.mean(axis=others):
        assert far_off(share, keep, mask.size / shape[axis]) < 5
      both = (mask & np.roll(mask, 1, axis)).mean()
      assert far_off(both, keep**2, mask.size) < 5
  both = (masks[0] & masks[1]).mean()
  assert far_off(both, keep**2, masks[0].size) < 4
  # Nor is one mask a part of the other, moved along.
  flat = [mask.ravel() for mask in masks]
  for shift in (1, 64, 2048, 65536):
    both = (flat[0] & np.roll(flat[1], shift)).mean()
    assert far_off(both, keep**2, flat[0].size) < 4.5


def test_dropout_drops_in_training_only():
  h, emb = features(N, H, W, C), features(N, H, W, E, seed=1)
  block = ResnetBlock(dropout=0.5)
  params = random_params(block, 3, h, emb, train=False)
  drop = jax.jit(
    lambda rng: block.apply(
      {"params": params}, h, emb, train=True, rngs={"dropout": rng}
    )
  )
  first, second = drop(jax.random.key(0)), drop(jax.random.key(1))
  np.testing.assert_array_equal(first, drop(jax.random.key(0)))
  assert np.mean(first != second) > 0.9
  # Features are kept or doubled, so that the mean over draws is the value
  # without dropout: what follows is linear.
  draws = jax.vmap(drop)(jax.random.split(jax.random.key(2), 400))
  plain = apply(block, params, h, emb, train=False)
  error = np.abs(np.mean(draws, axis=0) - plain)
  assert np.all(error < 6.0 * np.std(draws, axis=0) / math.sqrt(400) + 1e-5)
  without = apply(ResnetBlock(dropout=0.0), params, h, emb, train=False)
  np.testing.assert_array_equal(plain, without)


@pytest.mark.parametrize("attn_type", ["self", "cross"])
def test_attention_block(attn_type):
  h = features(N, H, W, C)
  block = AttnBlock(attn_type, attn_heads=4)
  params = random_params(block, 4, h)
  got = apply(block, params, h)
  expected = np_attn_block(np.float64(h), params, 4, attn_type == "cross")
  np.testing.assert_allclose(got, expected, atol=2e-4)
  # Both frames are read before either is updated: swapping them swaps the
  # result. The literal order of the paper's listing fails this.
  other_order = apply(block, params, swapped(h))
  np.testing.assert_allclose(other_order, swapped(got), atol=1e-5)
