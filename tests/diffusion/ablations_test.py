# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The systems that 3DiM is compared with: Concat-UNet and regression."""

import importlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_params import random_params
from sampler_test import HW, cameras, random_bank, sample

from configs import srn_chairs
from threedim_jax.diffusion.denoise import make_denoise_fn
from threedim_jax.models import dummy_inputs, get_model
from threedim_jax.modes.config_values import check_values
from threedim_jax.runtime.errors import UserError


def test_concat_unet_of_the_paper_has_421_million_parameters():
  """As many as without cross-attention, and three channels more come in."""
  model = get_model(srn_chairs.get_config("concat").model)
  shapes = jax.eval_shape(
    lambda rng: model.init(rng, *dummy_inputs(128), train=False),
    jax.random.key(0),
  )
  count = sum(math.prod(x.shape) for x in jax.tree.leaves(shapes))
  assert count == 420_696_611 + 3 * 3 * 3 * 256


@pytest.fixture(scope="module")
def concat_unet(tiny_xunet):
  """(jitted apply of parameters, inputs) of the tiny network, concatenated."""
  model = tiny_xunet.model.clone(concat_frames=True, cross_attn_resolutions=())
  params = random_params(model, 0, *tiny_xunet.inputs, train=False)
  apply = jax.jit(
    lambda *args: model.apply({"params": params}, *args, train=False)
  )
  return apply, tiny_xunet.inputs


@pytest.mark.parametrize("frame", [0, 1])
def test_both_frames_reach_the_output_of_concat_unet(concat_unet, frame):
  """Pictures, noise levels and cameras; each example on its own."""
  apply, (views, logsnr, cams, mask) = concat_unet
  pose = cams.world_from_cam.at[2, frame, :3, 3].add(0.3)
  before = apply(views, logsnr, cams, mask)
  assert before.shape == (3, 8, 8, 3) and np.std(before) > 0.1
  for changed in (
    (views.at[2, frame].add(0.3), logsnr, cams, mask),
    (views, logsnr.at[2, frame].add(-2.0), cams, mask),
    (views, logsnr, cams.replace(world_from_cam=pose), mask),
  ):
    differs = np.any(np.abs(apply(*changed) - before) > 1e-6, axis=(1, 2, 3))
    assert differs.tolist() == [False, False, True]


def test_concat_unet_knows_which_frame_is_which(concat_unet):
  apply, (views, logsnr, cams, mask) = concat_unet
  before = apply(views, logsnr, cams, mask)
  swapped = cams.replace(world_from_cam=cams.world_from_cam[:, ::-1])
  difference = np.abs(apply(views, logsnr, swapped, mask) - before)
  # The cameras of the second, unconditional example are not looked at.
  assert (np.max(difference, axis=(1, 2, 3)) > 1e-3).tolist() == [
    True,
    False,
    True,
  ]


def test_concat_with_cross_attention_is_refused():
  config = srn_chairs.get_config("concat")
  check_values(config)
  config.model.cross_attn_resolutions = (8,)
  with pytest.raises(UserError, match="cross_attn_resolutions=\\(\\)"):
    check_values(config)


@pytest.mark.parametrize(
  "key, value, said",
  [
    ("sampler.num_sample_steps", 2, "sampler.num_sample_steps=1"),
    ("diffusion.min_snr_gamma", 5.0, "diffusion.min_snr_gamma has no use"),
  ],
)
def test_regression_at_other_noise_levels_is_refused(key, value, said):
  config = srn_chairs.get_config("regression")
  check_values(config)
  config.update_from_flattened_dict({key: value})
  with pytest.raises(UserError, match=said):
    check_values(config)


def test_regression_samples_its_answer_in_one_step():
  """Within half of one of 255 levels: float32 rounds at a log-SNR of -20."""
  answer = jnp.float32(
    np.random.default_rng(1).uniform(-1.0, 1.0, (2, HW, HW, 3))
  )
  denoise_fn = make_denoise_fn(
    lambda *_: jnp.concatenate([answer, answer]), "view"
  )
  view = sample(
    denoise_fn,
    random_bank(2, 1, 1),
    cameras(2),
    num_sample_steps=1,
    guidance_weight=0.0,
  )
  np.testing.assert_allclose(view, answer, atol=1.0 / 255)


@pytest.mark.parametrize(
  "name", ["shapes", "srn_cars", "quickstart", "ablation"]
)
def test_variants_of_every_config(name):
  load = importlib.import_module(f"configs.{name}").get_config
  assert load("concat").model.concat_frames
  regression = load("debug,regression")
  assert regression.data.config == "debug"
  assert regression.diffusion.prediction == "view"
  assert regression.sampler.num_sample_steps == 1
  assert regression.model == load("debug").model
  for arg in (
    "",
    "debug",
    "concat",
    "relative",
    "regression",
    "debug,concat",
    "regression,debug",
  ):
    check_values(load(arg))
  with pytest.raises(ValueError, match="'concta'; choose from concat, large"):
    load("debug,concta")
