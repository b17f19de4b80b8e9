# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks on patches, against what they must agree with."""

import functools

from einops import rearrange
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_params import random_params

from threedim_jax.models import get_camera_encoder, patches
from threedim_jax.models.xunet import XUNet


def apply_fn(model):
  return jax.jit(functools.partial(model.apply, train=False))


def patch_network(tiny_xunet, **fields) -> tuple[XUNet, dict]:
  """(a network on 2x2 patches of the same 8x8 pictures, random parameters)."""
  fields = {"attn_resolutions": (2,), "dropout": 0.0} | fields
  model = tiny_xunet.model.clone(patch_size=2, **fields)
  params = random_params(model, 0, *tiny_xunet.inputs, train=False)
  return model, jax.tree.map(jnp.asarray, params)


VARIANTS = {
  "plain": {},
  "concat": {"concat_frames": True, "cross_attn_resolutions": ()},
  "relative": {"relative_cameras": True},
  "remat": {"remat": "full"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_patch_is_a_pixel_of_a_smaller_picture(tiny_xunet, variant):
  """Between the first and the last layer: those see 12 numbers for a pixel."""
  views, logsnr, cameras, mask = tiny_xunet.inputs
  model, params = patch_network(tiny_xunet, **VARIANTS[variant])
  cut = "b f (h y) (w x) c -> b f h w (y x c)"
  patched = rearrange(views, cut, y=2, x=2)
  fold = "b h w (f c)" if variant == "concat" else "(b f) h w c"
  patched = rearrange(patched, f"b f h w c -> {fold}")

  outputs = []

  def with_patches(next_fn, args, kwargs, context):
    if context.module.path == ("Conv_0",):
      return next_fn(patched)
    if context.module.path == ("Conv_1",):
      last = nn.Conv(12, (3, 3), parent=None)
      outputs.append(last.apply({"params": params["Conv_1"]}, *args))
      return outputs[0][..., :3]
    return next_fn(*args, **kwargs)

  halved = cameras.replace(K=cameras.K.at[..., :2, :].multiply(0.5))
  args = jnp.zeros((3, 2, 4, 4, 3)), logsnr, halved, mask
  smaller = model.clone(patch_size=1)
  with nn.intercept_methods(with_patches):
    smaller.apply({"params": params}, *args, train=False)
  glue = "b h w (y x c) -> b (h y) (w x) c"
  target = outputs[0].reshape(3, -1, 4, 4, 12)[:, -1]
  expected = rearrange(target, glue, y=2, x=2)
  got = apply_fn(model)({"params": params}, *tiny_xunet.inputs)
  assert got.shape == (3, 8, 8, 3) and np.std(got) > 0.1
  np.testing.assert_allclose(got, expected, atol=1e-4)


def test_cameras_encoded_ahead_are_those_of_patches(tiny_xunet):
  views, logsnr, cameras, mask = tiny_xunet.inputs
  model, params = patch_network(tiny_xunet)
  encode = get_camera_encoder(model, params, (8, 8))
  codes = encode(cameras)
  assert [x.shape[2:4] for x in codes] == [(4, 4), (2, 2)]
  fn = apply_fn(model)
  ahead = fn({"params": params}, views, logsnr, codes, mask)
  plain = fn({"params": params}, views, logsnr, cameras, mask)
  np.testing.assert_allclose(ahead, plain, atol=1e-4)


def test_detail_path_starts_at_zero(tiny_xunet):
  model = tiny_xunet.model.clone(
    patch_size=2, detail_ch=4, attn_resolutions=(2,)
  )
  init = jax.jit(functools.partial(model.init, train=False))
  params = init(jax.random.key(0), *tiny_xunet.inputs)["params"]
  assert np.any(params["DetailPath_0"]["Conv_1"]["kernel"])
  out = apply_fn(model)({"params": params}, *tiny_xunet.inputs)
  assert out.shape == (3, 8, 8, 3) and not np.any(out)


def test_detail_path_adds_the_noisy_frame_times_a_gain_of_its_log_snr(
  tiny_xunet,
):
  views, logsnr, cameras, mask = tiny_xunet.inputs
  model, params = patch_network(tiny_xunet, detail_ch=4)
  path = params["DetailPath_0"]
  # Two examples of the same log-SNR and one of another.
  logsnr = logsnr.at[:, 1].set(jnp.array([-3.0, -3.0, 15.0]))
  path["Conv_2"] = jax.tree.map(np.zeros_like, path["Conv_2"])
  params["Conv_1"] = jax.tree.map(np.zeros_like, params["Conv_1"])
  out = apply_fn(model)({"params": params}, views, logsnr, cameras, mask)
  gain = np.asarray(out / views[:, 1])
  np.testing.assert_allclose(np.ptp(gain, axis=(1, 2)), 0.0, atol=1e-3)
  np.testing.assert_allclose(gain[0], gain[1], rtol=1e-3)
  assert np.all(np.abs(gain[2] - gain[1]) > 1e-2)


def test_detail_path_sees_pixels_features_and_log_snr():
  """Each moves the output, a pixel that of its neighbours only."""
  rng = np.random.default_rng(0)
  draw = lambda *shape: jnp.float32(rng.standard_normal(shape))
  features, noisy, prediction = (
    draw(1, 16, 16, 6),
    draw(1, 32, 32, 3),
    draw(1, 32, 32, 3),
  )
  inputs = features, noisy, prediction, draw(1, 8)
  path = patches.DetailPath(features=4, patch_size=2)
  params = {"params": random_params(path, 0, *inputs)}
  before = path.apply(params, *inputs)
  for i, x in enumerate(inputs):
    moved = [*inputs]
    moved[i] = x.at[0, -1].add(1.0)
    change = np.abs(path.apply(params, *moved) - before).max((0, 2, 3))
    if i == 3:
      assert np.all(change > 1e-3)
    else:
      # Row 31 of the pixels: three convolutions of 3x3 reach row 28, in row 14
      # of the patches; four more reach row 10, in row 20 of the pixels; three
      # more reach row 17. From the last patch it is one convolution less and
      # one more, which ends in the same row.
      assert np.all(change[:17] == 0) and np.all(change[-8:] > 1e-3)
      assert change[17] > 0
