# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every configuration loads, fits its model and data, and runs a step."""

import functools
import importlib
import json
import math
import pathlib

from flax.traverse_util import flatten_dict
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import pytest

from threedim_jax.models import make_init_fn
from threedim_jax.modes.aot.flops import count_flops
from threedim_jax.modes.config_values import check_resolution, check_values
from threedim_jax.runtime.errors import UserError
from threedim_jax.training.optim import make_tx
from threedim_jax.training.setup import make_loss_fn
from threedim_jax.training.train_step import create_train_state, make_train_step
from threedim_jax.views.pair_batch import batch_shapes

CONFIGS = sorted(
  p.stem for p in (pathlib.Path(__file__).parents[2] / "configs").glob("*.py")
)


def load(name: str, arg: str = ""):
  return importlib.import_module(f"configs.{name}").get_config(arg)


@pytest.mark.parametrize("name", CONFIGS)
def test_has_the_keys_of_the_complete_one(name):
  complete = flatten_dict(load("srn_chairs").to_dict(), sep=".")
  assert set(flatten_dict(load(name).to_dict(), sep=".")) == set(complete)
  for arg in ("", "debug"):
    check_values(load(name, arg))


@functools.cache
def loss_shape(config_json: str) -> tuple:
  """Several configs have the same network."""
  config = ConfigDict(json.loads(config_json))
  rng = jax.random.key(0)
  params = jax.eval_shape(make_init_fn(config), rng)
  batch = batch_shapes(config.data.resolution, 2)
  loss, _ = jax.eval_shape(make_loss_fn(config), params, batch, rng)
  return loss.shape


@pytest.mark.parametrize("name", CONFIGS)
def test_shapes_of_the_full_model_fit(name):
  config = load(name)
  check_resolution(
    config.data.resolution, config.model.ch_mult, config.model.patch_size
  )
  data = config.data.to_dict()
  of_network = {
    "data": {key: data[key] for key in ("resolution", "hue_augmentation")},
    "model": config.model.to_dict(),
    "diffusion": config.diffusion.to_dict(),
  }
  assert loss_shape(json.dumps(of_network)) == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shapenet", "shapes_small", "srn_cars"])
def test_debug_runs_a_step(name):
  """Networks of three kinds.

  readme_test.py trains srn_chairs, meshes and shapes, ablate_test.py trains
  quickstart; shapes_tiny and ablation differ from shapes_small in numbers.
  """
  config, rng = load(name, "debug"), jax.random.key(0)
  tx = make_tx(config)
  step = make_train_step(make_loss_fn(config), tx, ema_decay=0.9)
  create = lambda rng: create_train_state(make_init_fn(config)(rng), tx)
  shapes = jax.eval_shape(create, rng)
  # Constant parameters: initialising is tested elsewhere and slow to compile.
  state = jax.tree.map(
    lambda x: jnp.full(x.shape, 0.01 if x.ndim else 0, x.dtype), shapes
  )
  batch = jax.tree.map(
    lambda x: jnp.broadcast_to(jnp.eye(*x.shape[-2:], dtype=x.dtype), x.shape),
    batch_shapes(config.data.resolution, config.train.batch_size),
  )
  state, metrics = jax.jit(step)(state, batch, rng)
  assert int(state.step) == 1
  assert 0.0 < float(metrics["loss"]) < math.inf


@pytest.mark.parametrize(
  "resolution, levels, patch_size, advice",
  [
    (100, 4, 1, "96 or 104"),
    (100, 6, 1, "96 or 128"),
    (100, 4, 3, "patch_size=3, .* 96 or 120"),
    (5, 4, 1, "use 8,"),
    (0, 1, 1, "use 1,"),
  ],
)
def test_resolution_that_levels_do_not_divide(
  resolution, levels, patch_size, advice
):
  with pytest.raises(UserError, match=advice) as error:
    check_resolution(resolution, (1,) * levels, patch_size)
  assert f"data.resolution={resolution}" in str(error.value)


def test_the_paper_recipe():
  """Every setting that the paper states."""
  c = load("srn_cars")
  assert c.model.to_dict() | {"dtype": None} == {
    "ch": 256,
    "ch_mult": (1, 2, 2, 4),
    "emb_ch": 1024,
    "num_res_blocks": 3,
    "attn_resolutions": (8, 16, 32),
    "cross_attn_resolutions": None,
    "attn_heads": 4,
    "norm_groups": 32,
    "dropout": 0.1,
    "use_pos_emb": True,
    "use_ref_pose_emb": True,
    "concat_frames": False,
    "relative_cameras": False,
    "patch_size": 1,
    "detail_ch": 0,
    "remat": "none",
    "dtype": None,
  }
  assert (c.optim.learning_rate, c.optim.b1, c.optim.b2) == (1e-4, 0.9, 0.99)
  assert c.optim.warmup_examples == 10_000_000
  assert c.optim.ema_half_life_examples == 500_000
  assert c.train.batch_size == 128
  assert c.diffusion.to_dict() == {
    "prediction": "eps",
    "uncond_fraction": 0.1,
    "logsnr_shift": 0.0,
    "min_snr_gamma": None,
  }
  assert c.sampler.num_sample_steps == 256
  assert c.sampler.conditioning == "stochastic"
  assert c.sampler.guidance_weight == 3.0
  assert load("srn_chairs").sampler.guidance_weight == 2.0
  assert load("srn_chairs", "large").model.ch == 448
  assert c.data.resolution == 128
  lowest = c.data.resolution // 2 ** (len(c.model.ch_mult) - 1)
  assert lowest == 16  # so attention at 8 has no effect
  assert c.train.num_examples == 128_000_000  # a guess: the paper has no number


def test_the_paper_recipe_of_all_of_shapenet():
  """Every setting in which it differs from the paper's SRN chairs."""
  ours, chairs = (
    flatten_dict(load(name).to_dict(), sep=".")
    for name in ("shapenet", "srn_chairs")
  )
  assert {k: v for k, v in ours.items() if v != chairs[k]} == {
    "data.name": "meshes",
    "data.config": "shapenet_pairs_128",  # 256 views in 128 pairs
    "data.fixed_pairs": True,
    "data.hue_augmentation": True,
    "model.relative_cameras": True,
    "train.batch_size": 512,
    "train.num_examples": 430_080_000,  # 840,000 steps
    "sampler.guidance_weight": 6.0,
  }


VARIANTS = (
  "", "debug", "concat", "relative", "regression", "debug,concat",
  "regression,debug",
)  # fmt: skip


@pytest.mark.parametrize(
  "name", ["shapes", "srn_cars", "quickstart", "ablation"]
)
def test_variants_of_every_config(name):
  assert load(name, "concat").model.concat_frames
  regression = load(name, "debug,regression")
  assert regression.data.config == "debug"
  assert regression.diffusion.prediction == "view"
  assert regression.sampler.num_sample_steps == 1
  assert regression.model == load(name, "debug").model
  for arg in VARIANTS:
    check_values(load(name, arg))
  with pytest.raises(ValueError, match="'concta'; choose from concat, large"):
    load(name, "debug,concta")


@pytest.mark.slow
def test_the_efficient_variant_costs_a_third_of_the_paper_s_at_most():
  """FLOPs of an example: forward pass and gradients."""

  def flops(arg):
    config, rng = load("srn_cars", arg), jax.random.key(0)
    loss_fn = make_loss_fn(config)
    return count_flops(
      jax.grad(lambda *args: loss_fn(*args)[0]),
      jax.eval_shape(make_init_fn(config), rng),
      batch_shapes(config.data.resolution, 1),
      rng,
    )

  assert flops("efficient") < flops("") / 3
