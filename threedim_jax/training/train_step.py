# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The training step: a pure function of (state, batch, rng)."""

from collections.abc import Callable
from typing import no_type_check

from einops import rearrange
import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, Mesh
from jaxtyping import Array, Int, Key, PyTree
import optax

from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.sharding import batch_sharding, replicated
from threedim_jax.training.ema import ema_update
from threedim_jax.views.pair_batch import PairBatch

# (params, batch, rng) -> (loss, aux)
LossFn = Callable[
  [PyTree, PairBatch, Key[Array, ""]], tuple[Array, dict[str, Array]]
]


@no_type_check  # for the reason given at `views.cameras.Camera`
@flax.struct.dataclass
class TrainState:
  """The state of a training run.

  Attributes:
    step: number of steps done, int32.
    params: parameters of the network.
    ema_params: running average (EMA) of `params`, which sampling uses.
    opt_state: state of the optimizer, such as Adam's moments.
  """

  step: Int[Array, ""]
  params: PyTree
  ema_params: PyTree
  opt_state: optax.OptState


def create_train_state(
  params: PyTree, tx: optax.GradientTransformation
) -> TrainState:
  """Makes the training state before the first step.

  Args:
    params: initial parameters. Their running average starts as a copy of them.
    tx: the optimizer.
  """
  # This must be a copy, because a train step donates both trees, and JAX cannot
  # donate the same buffer twice.
  ema_params = jax.tree.map(jnp.copy, params)
  return TrainState(jnp.int32(0), params, ema_params, tx.init(params))


def num_microbatches(
  batch_size: int, per_device_batch_size: int | None, num_devices: int
) -> int:
  """Returns the number of micro-batches to split a global batch into.

  Args:
    batch_size: number of examples in a global batch.
    per_device_batch_size: largest number of examples that a device computes at
      a time; None: no limit.
    num_devices: number of devices in all processes together.

  Raises:
    UserError: the batch does not split evenly over devices and micro-batches.
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
  """Computes the loss of a batch and its gradients, a micro-batch at a time.

  `parts` is the number of micro-batches.

  Returns:
    ((loss, aux), gradients). The loss and the gradients are averaged over the
    micro-batches, and `aux` is summed.
  """
  grad_fn = jax.value_and_grad(loss_fn, has_aux=True)
  if parts == 1:
    return grad_fn(params, batch, rng)

  # Neighbouring examples go to different parts. Every part thus has examples of
  # every device, and no example has to move to another device.
  def split(x):
    return rearrange(x, "(b p) ... -> p b ...", p=parts)

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
  loss, grads = jax.tree.map(lambda x: x / parts, (loss, grads))
  return (loss, aux), grads


def make_train_step(
  loss_fn: LossFn,
  tx: optax.GradientTransformation,
  ema_decay: float,
  parts: int = 1,
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
  """Makes the function `train_step(state, batch, rng) -> (state, metrics)`.

  Args:
    loss_fn: function (params, batch, rng) -> (loss, aux), where `aux` is a
      dictionary of metrics. Made by `setup.make_loss_fn`.
    tx: the optimizer.
    ema_decay: decay per step of the running average (EMA) of the parameters.
    parts: number of micro-batches whose gradients are accumulated.

  Returns:
    A pure function. Pass the same `rng` at every step: the function folds in
    the number of the step, so that a resumed run draws the same random numbers
    as an uninterrupted one. The metrics are "loss", "grad_norm", "param_norm"
    (of the new parameters) and the entries of `aux`.
  """

  def train_step(state: TrainState, batch: PairBatch, rng):
    rng = jax.random.fold_in(rng, state.step)
    (loss, aux), grads = _accumulated_grads(
      loss_fn, state.params, batch, rng, parts
    )
    with jax.named_scope("optimizer"):  # its name in profiles
      updates, opt_state = tx.update(grads, state.opt_state, state.params)
      params = optax.apply_updates(state.params, updates)
      ema_params = ema_update(state.ema_params, params, ema_decay)
      norms = {
        "grad_norm": optax.tree.norm(grads),
        "param_norm": optax.tree.norm(params),
      }
    new_state = TrainState(
      step=state.step + 1,
      params=params,
      ema_params=ema_params,
      opt_state=opt_state,
    )
    return new_state, {"loss": loss, **norms, **aux}

  return train_step


def jit_train_step(
  train_step: Callable, mesh: Mesh | AbstractMesh, state_sh: PyTree
) -> jax.stages.Wrapped:
  """Jits a train step (state, batch, rng) -> (state, metrics).

  The old state is donated: its buffers are reused for the new state.

  Args:
    train_step: the function from `make_train_step`.
    mesh: devices to split the batch over.
    state_sh: shardings of the state.
  """
  rep = replicated(mesh)
  return jax.jit(
    train_step,
    in_shardings=(state_sh, batch_sharding(mesh), rep),
    out_shardings=(state_sh, rep),
    donate_argnums=0,
  )
