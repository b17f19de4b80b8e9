# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds everything that a training step needs, from a configuration.

Training, the benchmark and the dry run use this module. Jitted functions get
their settings from here and do not read the configuration.

  setup = make_setup(config, make_mesh(config.mesh.data, config.mesh.fsdp))
  state = jax.jit(setup.create_state, out_shardings=setup.shardings)(rng)
  state, metrics = setup.train_step(state, batch, rng)
"""

from collections.abc import Callable
import dataclasses

import jax
from jax.sharding import AbstractMesh, Mesh
from jaxtyping import PyTree
from ml_collections import ConfigDict

from threedim_jax.diffusion.clean_frame import make_predict_fn
from threedim_jax.diffusion.denoise import bind_apply
from threedim_jax.diffusion.losses import denoised_grid, diffusion_loss
from threedim_jax.models import get_model, make_init_fn
from threedim_jax.runtime.sharding import (
  batch_sharding,
  platform_of,
  replicated,
  state_sharding,
)
from threedim_jax.training.ema import ema_decay
from threedim_jax.training.hue import augment_hue
from threedim_jax.training.optim import make_tx
from threedim_jax.training.train_step import (
  LossFn,
  TrainState,
  create_train_state,
  jit_train_step,
  make_train_step,
  num_microbatches,
)
from threedim_jax.views.pair_batch import PairBatch, batch_shapes

GRID_ROWS = 4  # pairs in the picture that an evaluation step makes


@dataclasses.dataclass(frozen=True)
class TrainSetup:
  """The functions, shapes and shardings of a training run on a mesh.

  Attributes:
    mesh: devices with the axes "data" and "fsdp".
    num_microbatches: number of micro-batches that a global batch is split into.
      They are computed one after the other.
    create_state: function (rng, params=None) -> the state before step 1, with
      random parameters unless `params` is given.
    shapes: shapes and dtypes of the state.
    shardings: shardings of the state on `mesh`.
    batch: shapes and dtypes of a global batch.
    train_step: jitted function (state, batch, rng) -> (state, metrics). The old
      state is donated, so its buffers cannot be used again.
    eval_step: jitted function (params, batch, rng) -> (metrics, grid) without
      dropout. The grid [n, 4, H, W, 3] holds the conditioning, noisy, denoised
      and target views of the first n <= GRID_ROWS examples, in [-1, 1].
  """

  mesh: Mesh | AbstractMesh
  num_microbatches: int
  create_state: Callable[..., TrainState]
  shapes: PyTree
  shardings: PyTree
  batch: PairBatch
  train_step: jax.stages.Wrapped
  eval_step: jax.stages.Wrapped


def make_setup(config: ConfigDict, mesh: Mesh | AbstractMesh) -> TrainSetup:
  """Makes the `TrainSetup` of a configuration.

  Args:
    config: a whole configuration.
    mesh: a mesh of devices, or an `AbstractMesh` if only shapes are needed.

  Raises:
    UserError: the batch does not split evenly over devices and micro-batches.
  """
  batch_size = config.train.batch_size
  parts = num_microbatches(
    batch_size, config.train.per_device_batch_size, mesh.size
  )
  tx, init_fn = make_tx(config), make_init_fn(config)
  platform = platform_of(mesh)
  loss_fn = make_loss_fn(config, platform)

  def create_state(rng, params=None):
    params = init_fn(rng) if params is None else params
    return create_train_state(params, tx)

  shapes = jax.eval_shape(create_state, jax.random.key(0))
  shardings = state_sharding(mesh, shapes)
  decay = ema_decay(config.optim.ema_half_life_examples, batch_size)
  everywhere = replicated(mesh)
  return TrainSetup(
    mesh=mesh,
    num_microbatches=parts,
    create_state=create_state,
    shapes=shapes,
    shardings=shardings,
    batch=batch_shapes(config.data.resolution, batch_size),
    train_step=jit_train_step(
      make_train_step(loss_fn, tx, decay, parts), mesh, shardings
    ),
    eval_step=jax.jit(
      make_eval_step(config, platform),
      in_shardings=(shardings.ema_params, batch_sharding(mesh), everywhere),
      out_shardings=(everywhere, everywhere),
    ),
  )


def make_loss_fn(config: ConfigDict, platform: str = "cpu") -> LossFn:
  """Makes the training loss, a function (params, batch, rng) -> (loss, aux).

  The loss uses dropout and, if `data.hue_augmentation` is set, hue
  augmentation. `aux` holds loss sums per log-SNR bin, see `diffusion_loss`.
  """
  model = get_model(config.model, platform)
  diffusion = config.diffusion
  options = {
    "prediction": diffusion.prediction,
    "uncond_fraction": diffusion.uncond_fraction,
    "logsnr_shift": diffusion.logsnr_shift,
    "min_snr_gamma": diffusion.min_snr_gamma,
  }
  hue_augmentation = config.data.hue_augmentation

  def loss_fn(params, batch, rng):
    rng_noise, rng_dropout, rng_hue = jax.random.split(rng, 3)
    if hue_augmentation:
      batch = augment_hue(batch, rng_hue)
    apply_fn = bind_apply(
      model, params, train=True, rngs={"dropout": rng_dropout}
    )
    predict_fn = make_predict_fn(apply_fn)
    return diffusion_loss(predict_fn, batch, rng_noise, **options)

  return loss_fn


def make_eval_step(config: ConfigDict, platform: str = "cpu") -> Callable:
  """Makes the function (params, batch, rng) -> (metrics, grid) for evaluation.

  The metrics are those of one held-out batch. See `TrainSetup.eval_step`.
  """
  model = get_model(config.model, platform)
  prediction = config.diffusion.prediction

  def eval_step(params, batch, rng):
    predict_fn = make_predict_fn(bind_apply(model, params))
    loss, aux = diffusion_loss(
      predict_fn, batch, rng, prediction=prediction, uncond_fraction=0.0
    )
    shown = jax.tree.map(lambda x: x[:GRID_ROWS], batch)
    grid = denoised_grid(predict_fn, shown, rng, prediction=prediction)
    return {"loss": loss, **aux}, grid

  return eval_step
