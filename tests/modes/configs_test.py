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

CONFIGS = sorted(
  p.stem for p in (pathlib.Path(__file__).parents[2] / "configs").glob("*.py")
)


def load(name: str, arg: str = ""):
  return importlib.import_module(f"configs.{name}").get_config(arg)


@pytest.mark.parametrize("name", CONFIGS)
def test_has_the_keys_of_the_complete_one(name):
  complete = flatten_dict(load("srn_chairs").to_dict(), sep=".")
  assert set(flatten_dict(load(name).to_dict(), sep=".")) == set(complete)


@pytest.mark.parametrize("name", CONFIGS)
def test_shapes_of_the_full_model_fit(name):
  from threedim_jax.models import make_init_fn
  from threedim_jax.modes.config_values import check_resolution
  from threedim_jax.training.setup import make_loss_fn
  from threedim_jax.views.pair_batch import batch_shapes

  config = load(name)
  check_resolution(
    config.data.resolution, config.model.ch_mult, config.model.patch_size
  )
  rng = jax.random.key(0)
  params = jax.eval_shape(make_init_fn(config), rng)
  loss, _ = jax.eval_shape(
    make_loss_fn(config),
    params,
    batch_shapes(config.data.resolution, 2),
    rng,
  )
  assert loss.shape == ()


@functools.cache
def loss_after_a_step(config_json: str) -> float:
  """Debug configs that shrink to the same are compiled and run once."""
  from threedim_jax.models import make_init_fn
  from threedim_jax.training.optim import make_tx
  from threedim_jax.training.setup import make_loss_fn
  from threedim_jax.training.train_step import (
    create_train_state,
    make_train_step,
  )
  from threedim_jax.views.pair_batch import batch_shapes

  config = ConfigDict(json.loads(config_json))
  rng = jax.random.key(0)
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
  return float(metrics["loss"])


@pytest.mark.parametrize("name", CONFIGS)
def test_debug_runs_a_step(name):
  loss = loss_after_a_step(json.dumps(load(name, "debug").to_dict()))
  assert 0.0 < loss < math.inf


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


@pytest.mark.slow
def test_the_efficient_variant_costs_a_third_of_the_paper_s_at_most():
  """FLOPs of an example: forward pass and gradients."""
  from threedim_jax.models import make_init_fn
  from threedim_jax.modes.aot.flops import count_flops
  from threedim_jax.training.setup import make_loss_fn
  from threedim_jax.views.pair_batch import batch_shapes

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
