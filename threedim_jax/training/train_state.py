# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The state of a training, which every step replaces and checkpoints hold."""

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
  """The state of a training.

  Attributes:
    step: number of steps done, int32.
    params: parameters of the network.
    ema_params: their running average, which sampling uses.
    opt_state: Adam's moments.
  """

  step: Int[Array, ""]
  params: PyTree
  ema_params: PyTree
  opt_state: optax.OptState


def create_train_state(
  init_fn: Callable[[Key[Array, ""]], PyTree],
  tx: optax.GradientTransformation,
  rng: Key[Array, ""],
) -> TrainState:
  """Makes the state before the first step.

  Call it under `jax.eval_shape`, or under a jit with shardings.

  Args:
    init_fn: key -> parameters.
    tx: the optimizer.
    rng: passed to `init_fn`.
  """
  params = init_fn(rng)
  # A copy, because a train step donates both, and no buffer twice.
  ema_params = jax.tree.map(jnp.copy, params)
  return TrainState(jnp.int32(0), params, ema_params, tx.init(params))
