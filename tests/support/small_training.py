# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A batch of noise, a network of two blocks, and workdirs of no training."""

import jax
import jax.numpy as jnp
import numpy as np
from random_params import random_params

from configs import srn_chairs
from threedim_jax.models import dummy_inputs, get_model
from threedim_jax.training.optim import make_tx
from threedim_jax.training.setup import make_loss_fn
from threedim_jax.training.train_step import TrainState, create_train_state
from threedim_jax.views import camera_paths
from threedim_jax.views.cameras import Camera
from threedim_jax.views.pair_batch import PairBatch
from threedim_jax.workdir.checkpoints.checkpointer import Checkpointer


def toy_cameras() -> Camera:
  """Six cameras around the origin, of 8x8 pictures: [6, 4, 4], [6, 3, 3]."""
  poses = camera_paths.orbit(6, elevation_deg=20.0, radius=2.0)
  K = jnp.tile(jnp.float32(camera_paths.default_K(8)), (6, 1, 1))
  return Camera(jnp.float32(poses), K)


def pair_batch(batch_size: int, resolution: int, seed=0) -> PairBatch:
  """Noise for pictures, seen from two neighbours of `toy_cameras` each."""
  rng = np.random.default_rng(seed)
  shape = (batch_size, resolution, resolution, 3)
  view = lambda: jnp.asarray(rng.integers(0, 256, shape, dtype=np.uint8))
  cameras = toy_cameras()
  pick = lambda first: jax.tree.map(
    lambda x: x[(np.arange(batch_size) + first) % len(x)], cameras
  )
  return PairBatch(view(), view(), pick(0), pick(1))


def small_network(batch_size: int, attn_resolutions=(8,)):
  """(loss_fn, random parameters, batch) of a network of two blocks."""
  config = srn_chairs.get_config("debug")
  config.data.resolution = 8
  config.model.update(
    ch_mult=(1,), num_res_blocks=0, attn_resolutions=attn_resolutions
  )
  params = random_params(
    get_model(config.model), 0, *dummy_inputs(8), train=False
  )
  return make_loss_fn(config), params, pair_batch(batch_size, 8)


def untrained_state(config) -> TrainState:
  """The state at step 0 of a training that starts with random parameters."""
  inputs = dummy_inputs(config.data.resolution)
  params = random_params(get_model(config.model), 0, *inputs, train=False)
  return create_train_state(params, make_tx(config))


def save_as_trained(workdir, state: TrainState, config) -> None:
  """Makes `workdir` one of a training whose first checkpoint this is."""
  with Checkpointer(workdir / "checkpoints") as checkpointer:
    checkpointer.save(1, state, config=config.to_dict())
