# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the network is told about noise level, rays and frames."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_params import random_params

from threedim_jax.models import get_camera_encoder
from threedim_jax.models.conditioning import (
  ConditioningProcessor,
  posenc_ddpm,
  posenc_nerf,
)
from threedim_jax.models.xunet import XUNet
from threedim_jax.views.cameras import rays_from_camera

HW = (8, 8)
EMB = 16


def test_posenc_ddpm_by_hand():
  """Frequencies from 1 to 1e-4 of a time that max_time maps to 1000."""
  got = posenc_ddpm(jnp.array([0.0, 0.5]), emb_ch=6, max_time=1.0)
  angle = 500.0 * np.array([1.0, 1e-2, 1e-4])
  expected = [[0, 0, 0, 1, 1, 1], [*np.sin(angle), *np.cos(angle)]]
  np.testing.assert_allclose(got, expected, atol=1e-4)
  halved = posenc_ddpm(jnp.array([0.0, 1.0]), emb_ch=6, max_time=2.0)
  np.testing.assert_allclose(halved, expected, atol=1e-4)


def test_posenc_nerf_by_hand():
  """x, then sines of all scales (x y of each), then cosines."""
  x = np.array([0.3, -1.1])
  got = posenc_nerf(jnp.float32(x), min_deg=1, max_deg=3)
  angle = np.concatenate([2 * x, 4 * x])
  expected = [*x, *np.sin(angle), *np.cos(angle)]
  np.testing.assert_allclose(got, expected, atol=1e-6)
  assert posenc_nerf(jnp.zeros((5, 3)), 0, 15).shape == (5, 3 + 90)


@pytest.fixture(scope="module")
def inputs(toy_cameras):
  """Three examples of two frames; the second one is unconditional."""
  logsnr = jnp.array([[20.0, -3.0], [-20.0, 1.0], [20.0, 5.0]])
  cameras = jax.tree.map(lambda x: x.reshape(3, 2, *x.shape[1:]), toy_cameras)
  return logsnr, cameras, jnp.array([True, False, True])


def processor(**fields):
  """(jitted apply, random parameters) of a two-level processor."""
  module = ConditioningProcessor(EMB, 2, **fields)

  def bind(inputs):
    params = random_params(module, 2, *inputs, HW)

    @jax.jit
    def fn(p, *args):
      logsnr_emb, embs = module.apply({"params": p}, *args, HW)
      by_example = lambda x: x.reshape(3, 2, *x.shape[1:])
      return logsnr_emb, [by_example(x) for x in embs]

    return fn, params

  return bind


def test_log_snr_enters_as_a_time(inputs):
  """t = 2 atan(exp(-logsnr / 2)) / pi, of each frame on its own."""
  logsnr, cameras, cond_mask = inputs
  fn, params = processor()(inputs)
  got, _ = fn(params, *inputs)
  t = 2.0 * np.arctan(np.exp(-np.float64(logsnr) / 2.0)) / math.pi
  freq = 1e-4 ** (np.arange(EMB // 2) / (EMB // 2 - 1))
  angle = 1000.0 * t[..., None] * freq
  h = np.concatenate([np.sin(angle), np.cos(angle)], axis=-1)
  first, second = params["Dense_0"], params["Dense_1"]
  h = h @ first["kernel"] + first["bias"]
  h = h / (1.0 + np.exp(-h)) @ second["kernel"] + second["bias"]
  np.testing.assert_allclose(got, h, atol=2e-3)
  beyond, _ = fn(params, 3.0 * logsnr, cameras, cond_mask)
  at_the_end, _ = fn(params, jnp.clip(3.0 * logsnr, -20, 20), *inputs[1:])
  np.testing.assert_array_equal(beyond, at_the_end)


@pytest.mark.parametrize("joint_conv", [True, False])
@pytest.mark.parametrize("learned", [True, False])
def test_rays_are_encoded_and_convolved(inputs, learned, joint_conv):
  """Position to degree 15, direction to 8, plus what is learned."""
  _, cameras, _ = inputs
  fn, params = processor(
    use_pos_emb=learned, use_ref_pose_emb=learned, joint_conv=joint_conv
  )(inputs)
  logsnr_emb, embs = fn(params, *inputs)
  rays = rays_from_camera(cameras, HW)
  encoded = np.concatenate(
    [posenc_nerf(rays.pos, 0, 15), posenc_nerf(rays.dir, 0, 8)], axis=-1
  )
  encoded[1] = 0.0  # unconditional: both frames
  if learned:
    encoded += params["pos_emb"]
    encoded[:, 0] += params["ref_pose_emb_first"]
    encoded[:, 1] += params["ref_pose_emb_other"]
  for level, got in enumerate(embs):
    expected = jax.lax.conv_general_dilated(
      encoded.reshape(6, *HW, -1),
      params[f"Conv_{level}"]["kernel"],
      (2**level, 2**level),
      "SAME",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    ).reshape(got.shape)
    expected = np.asarray(expected) + params[f"Conv_{level}"]["bias"]
    expected += np.asarray(logsnr_emb)[:, :, None, None]
    np.testing.assert_allclose(got, expected, atol=5e-4)


def test_codes_may_take_the_cameras_place(inputs):
  """Of all frames at once, or of each on its own."""
  logsnr, cameras, cond_mask = inputs
  fn, params = processor()(inputs)
  params = jax.tree.map(jnp.asarray, params)
  encode = get_camera_encoder(XUNet(), {"ConditioningProcessor_0": params}, HW)
  first, second = (lambda a: a[:, 0]), (lambda a: a[:, 1])
  frames = [encode(jax.tree.map(f, cameras)) for f in (first, second)]
  codes = jax.tree.map(lambda a, b: jnp.stack([a, b], 1), *frames)
  assert [x.shape for x in codes] == [(3, 2, 8, 8, EMB), (3, 2, 4, 4, EMB)]
  got, expected = fn(params, logsnr, codes, cond_mask), fn(params, *inputs)
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_an_unconditional_example_knows_no_camera(inputs):
  """Not a number of either frame's camera moves any of its embeddings."""
  logsnr, cameras, cond_mask = inputs
  fn, params = processor()(inputs)

  def probe(cameras):
    _, embs = fn(params, logsnr, cameras, cond_mask)
    return sum(jnp.sum(jnp.square(x)) for x in embs)

  gradients = jax.grad(probe)(cameras)
  for gradient in jax.tree.leaves(gradients):
    per_frame = np.max(np.abs(gradient), axis=(2, 3))
    assert np.all(per_frame[1] == 0.0)
    assert np.all(per_frame[[0, 2]] > 0.0)


def test_frames_swap_when_nothing_names_them(inputs):
  logsnr, cameras, cond_mask = inputs
  swap = lambda tree: jax.tree.map(lambda x: x[:, ::-1], tree)
  for use_ref_pose_emb in (False, True):
    fn, params = processor(
      use_pos_emb=False, use_ref_pose_emb=use_ref_pose_emb
    )(inputs)
    plain = fn(params, *inputs)
    swapped = fn(params, swap(logsnr), swap(cameras), cond_mask)
    same = all(
      np.allclose(a, b, atol=1e-4)
      for a, b in zip(
        jax.tree.leaves(swap(plain)), jax.tree.leaves(swapped), strict=True
      )
    )
    assert same == (not use_ref_pose_emb)
