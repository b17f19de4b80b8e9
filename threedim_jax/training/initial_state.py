# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Restores or creates the training state that a run starts from.

state, steps_done = restore_or_create(config, setup, checkpointer, rng)
"""

from collections.abc import Callable

from etils import epath
import jax
from jaxtyping import PyTree
from ml_collections import ConfigDict

from threedim_jax.models.growth import grow
from threedim_jax.models.pretrained import (
  SHA256,
  check_setting,
  check_settings_match,
  read_weights,
)
from threedim_jax.runtime import progress
from threedim_jax.runtime.array_specs import array_specs, check_same_arrays
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.sharding import with_shardings
from threedim_jax.training.setup import TrainSetup
from threedim_jax.training.train_step import TrainState
from threedim_jax.workdir.checkpoints.checkpointer import (
  Checkpointer,
  read_params,
)


def restore_or_create(
  config: ConfigDict,
  setup: TrainSetup,
  checkpointer: Checkpointer,
  rng: jax.Array,
) -> tuple[TrainState, int]:
  """Restores the newest checkpoint, or makes a new state if there is none.

  Args:
    config: a whole configuration.
    setup: shapes and shardings of the state.
    checkpointer: reader of the run's checkpoints.
    rng: key for random parameters.

  Returns:
    The state and the number of training steps done so far.

  Raises:
    UserError: all checkpoints are damaged, the newest checkpoint is for another
      architecture, or `starting_params` fails.
  """
  if checkpointer.latest_step() is None:
    checkpointer.check_not_all_damaged()
    with progress.waiting("initialise the parameters"):
      return initial_state(config, setup, rng), 0
  target = with_shardings(setup.shapes, setup.shardings)
  with progress.waiting("restore the last checkpoint"):
    state, step, _ = checkpointer.restore(target)
  return state, step


def initial_state(
  config: ConfigDict, setup: TrainSetup, rng: jax.Array
) -> TrainState:
  """Makes the training state before step 1.

  The parameters are random, unless `train.init_from` names other parameters.
  The arguments have the same meaning as in `restore_or_create`.

  Raises:
    UserError: `starting_params` fails.
  """
  params, shardings = None, setup.shardings
  if config.train.init_from:
    create_params = jax.jit(
      lambda: setup.create_state(rng).params, out_shardings=shardings.params
    )
    params = starting_params(config, setup.shapes.params, create_params)
    params = jax.device_put(params, shardings.params)
  create_state = jax.jit(setup.create_state, out_shardings=shardings)
  return jax.block_until_ready(create_state(rng, params))


def starting_params(
  config: ConfigDict, target: PyTree, create_params: Callable[[], PyTree]
) -> PyTree:
  """Reads the parameters that `train.init_from` names.

  The parameters may come from a network for pictures of another size, or with
  fewer channels, see `models.growth`.

  Args:
    config: `train.init_from` is the name of bundled weights or the workdir of
      another training run, whose averaged (EMA) parameters are read.
    target: arrays or shapes that the parameters must match.
    create_params: makes random parameters, for the network levels that a
      network for smaller pictures does not have.

  Raises:
    UserError: `train.init_from` names neither weights nor a workdir, or its
      network has another architecture or predicts something else.
  """
  source = config.train.init_from
  if source in SHA256:
    check_settings_match(source, config, for_training=True)
    params = read_weights(source)
  elif (epath.Path(source) / "checkpoints").is_dir():
    params, trained = read_params(source)
    check_setting(
      source,
      "diffusion.prediction",
      config.diffusion.prediction,
      trained["diffusion"]["prediction"],
    )
  else:
    raise UserError(
      f"train.init_from={source!r} is neither the workdir of a training run nor"
      f" weights that ship with threedim_jax ({', '.join(SHA256)})"
    )
  params = grow(params, target, create_params)
  check_same_arrays(
    f"the network of train.init_from={source}",
    {"params": array_specs(params)},
    {"params": target},
    "models/growth.py says which networks can grow into which.",
  )
  return params
