# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What training carries from step to step, and what a checkpoint holds."""

from collections.abc import Callable
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PyTree
import optax


@no_type_check  # its leaves may be shapes or shardings, see Camera
@flax.struct.dataclass
class TrainState:
  """Steps done, parameters, their running average, and Adam's moments."""

  step: Int[Array, ""]
  params: PyTree
  ema_params: PyTree
  opt_state: optax.OptState


def create_train_state(
  init_fn: Callable[[Key[Array, ""]], PyTree],
  tx: optax.GradientTransformation,
  rng: Key[Array, ""],
) -> TrainState:
  """Step zero. Run it under `jax.eval_shape` or a jit with shardings."""
  params = init_fn(rng)
  # A copy: one buffer may not be donated twice.
  ema_params = jax.tree.map(jnp.copy, params)
  return TrainState(jnp.int32(0), params, ema_params, tx.init(params))
