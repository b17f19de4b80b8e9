# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where a configuration becomes functions; past this point there is none.

No jitted function and no module ever sees the config: its values are bound
here, once.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import optax

from threedim_jax.diffusion.denoise import DenoiseFn, make_denoise_fn
from threedim_jax.diffusion.losses import denoised_grid, diffusion_loss
from threedim_jax.inputs.view_source import Views, open_views
from threedim_jax.models import get_model
from threedim_jax.training.optim import make_optimizer
from threedim_jax.views.cameras import Camera

# Pairs shown in a sample grid.
GRID_ROWS = 4


def dummy_inputs(resolution: int, batch_size: int = 1) -> tuple:
  """Arguments of the network, for shapes only."""
  B, F, R = batch_size, 2, resolution
  cameras = Camera(jnp.zeros((B, F, 4, 4)), jnp.zeros((B, F, 3, 3)))
  views = jnp.zeros((B, F, R, R, 3))
  return views, jnp.zeros((B, F)), cameras, jnp.ones((B,), bool)


def open_split(config: ConfigDict, split: str) -> Views:
  """The views of a split, train, validation or test; UserError if missing."""
  return open_views(
    config.data.data_dir,
    config.data.name,
    config.data.config,
    split,
    resolution=config.data.resolution,
  )


def make_init_fn(config: ConfigDict):
  """rng -> parameters."""
  model = get_model(config.model)
  inputs = dummy_inputs(config.data.resolution)
  return lambda rng: model.init(rng, *inputs, train=False)["params"]


def make_loss_fn(config: ConfigDict):
  """(params, batch, rng) -> (loss, aux), with dropout."""
  model = get_model(config.model)
  diffusion = config.diffusion
  options = {
    "prediction": diffusion.prediction,
    "uncond_fraction": diffusion.uncond_fraction,
    "logsnr_shift": diffusion.logsnr_shift,
    "min_snr_gamma": diffusion.min_snr_gamma,
  }

  def loss_fn(params, batch, rng):
    rng_noise, rng_dropout = jax.random.split(rng)
    denoise_fn = make_denoise_fn(
      lambda *args: model.apply(
        {"params": params},
        *args,
        train=True,
        rngs={"dropout": rng_dropout},
      ),
      options["prediction"],
    )
    return diffusion_loss(denoise_fn, batch, rng_noise, **options)

  return loss_fn


def make_denoiser(config: ConfigDict) -> Callable[..., DenoiseFn]:
  """parameters -> `DenoiseFn` without dropout."""
  model = get_model(config.model)
  return lambda params: make_denoise_fn(
    lambda *args: model.apply({"params": params}, *args, train=False),
    config.diffusion.prediction,
  )


def sampler_options(config: ConfigDict) -> dict:
  """Those of `sampler.sample_view` that are not traced."""
  sampler = config.sampler
  return {
    "conditioning": sampler.conditioning,
    "solver": sampler.solver,
    "guidance_interval": tuple(sampler.guidance_interval),
  }


def make_eval_step(config: ConfigDict):
  """(params, batch, rng) -> (metrics, grid [B, 4, H, W, 3]), no dropout."""
  denoiser = make_denoiser(config)
  prediction = config.diffusion.prediction

  def eval_step(params, batch, rng):
    denoise_fn = denoiser(params)
    loss, aux = diffusion_loss(
      denoise_fn, batch, rng, prediction=prediction, uncond_fraction=0.0
    )
    shown = jax.tree.map(lambda x: x[:GRID_ROWS], batch)
    return {"loss": loss, **aux}, denoised_grid(denoise_fn, shown, rng)

  return eval_step


def make_tx(config: ConfigDict) -> optax.GradientTransformation:
  """The optimizer."""
  return make_optimizer(
    learning_rate=config.optim.learning_rate,
    warmup_examples=config.optim.warmup_examples,
    b1=config.optim.b1,
    b2=config.optim.b2,
    global_batch_size=config.train.batch_size,
    num_examples=config.train.num_examples,
    decay_examples=config.optim.decay_examples,
  )
