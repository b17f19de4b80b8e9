# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The training step: a pure function of (state, batch, rng)."""

from collections.abc import Callable

from einops import rearrange
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree
import optax

from threedim_jax.runtime.errors import UserError
from threedim_jax.training.optim import ema_update
from threedim_jax.training.train_state import TrainState
from threedim_jax.views.pair_batch import PairBatch

# (params, batch, rng) -> (loss, aux)
LossFn = Callable[
  [PyTree, PairBatch, Key[Array, ""]], tuple[Array, dict[str, Array]]
]


def num_microbatches(
  batch_size: int, per_device_batch_size: int | None, num_devices: int
) -> int:
  """How many parts a global batch is computed in; UserError if uneven.

  One, where `per_device_batch_size` is no less than a device's whole share.
  """
  share, rest = divmod(batch_size, num_devices)
  at_once = min(per_device_batch_size or share, share)
  if rest or share % at_once:
    raise UserError(
      f"train.batch_size={batch_size} does not split evenly over {num_devices}"
      f" devices with train.per_device_batch_size={per_device_batch_size};"
      " change one of them"
    )
  return share // at_once


def _accumulated_grads(
  loss_fn: LossFn, params: PyTree, batch: PairBatch, rng, parts: int
):
  """Mean loss and gradients, summed `aux`, over `parts` micro-batches."""
  grad_fn = jax.value_and_grad(loss_fn, has_aux=True)
  if parts == 1:
    return grad_fn(params, batch, rng)
  # Part is the fast axis, so that every device keeps the examples it has.
  split = lambda x: rearrange(x, "(b p) ... -> p b ...", p=parts)

  def add(total, x):
    part, index = x
    result = grad_fn(params, part, jax.random.fold_in(rng, index))
    return jax.tree.map(jnp.add, total, result), None

  shapes = jax.eval_shape(
    grad_fn, params, jax.tree.map(lambda x: split(x)[0], batch), rng
  )
  zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
  xs = (jax.tree.map(split, batch), jnp.arange(parts))
  ((loss, aux), grads), _ = jax.lax.scan(add, zeros, xs)
  mean = lambda tree: jax.tree.map(lambda x: x / parts, tree)
  return (mean(loss), aux), mean(grads)


def make_train_step(
  loss_fn: LossFn,
  tx: optax.GradientTransformation,
  ema_decay: float,
  parts: int = 1,
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
  """Builds `train_step(state, batch, rng) -> (state, metrics)`.

  Args:
    loss_fn: (params, batch, rng) -> (loss, aux).
    tx: the optimizer.
    ema_decay: decay per step of the running average of the parameters.
    parts: micro-batches whose gradients are accumulated.

  Returns:
    A pure function; `rng` is the root key, folded with the step inside, so
    that a resumed run draws what an uninterrupted one would have.
  """

  def train_step(state: TrainState, batch: PairBatch, rng):
    rng = jax.random.fold_in(rng, state.step)
    (loss, aux), grads = _accumulated_grads(
      loss_fn, state.params, batch, rng, parts
    )
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    new_state = TrainState(
      step=state.step + 1,
      params=params,
      ema_params=ema_update(state.ema_params, params, ema_decay),
      opt_state=opt_state,
    )
    return new_state, {
      "loss": loss,
      "grad_norm": optax.tree.norm(grads),
      **aux,
    }

  return train_step
