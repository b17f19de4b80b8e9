# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--dry_run`: what a configuration would do and cost, without doing it."""

import math

from clu import parameter_overview
import jax
from jaxtyping import PyTree
from ml_collections import ConfigDict

from threedim_jax import progress
from threedim_jax.flops import count_flops
from threedim_jax.from_config import make_init_fn, make_loss_fn
from threedim_jax.losses import PairBatch, batch_shapes
from threedim_jax.sharding import make_mesh, state_sharding
from threedim_jax.train_step import num_microbatches


def _bytes(tree: PyTree) -> int:
  return sum(
    math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree)
  )


def _bytes_per_device(shapes: PyTree, shardings: PyTree) -> int:
  shard = lambda x, s: math.prod(s.shard_shape(x.shape)) * x.dtype.itemsize
  return sum(jax.tree.leaves(jax.tree.map(shard, shapes, shardings)))


def residual_bytes(loss_fn, params: PyTree, batch: PairBatch, rng) -> int:
  """What the backward pass keeps of the forward one, parameters left out.

  The function that `jax.vjp` returns is a pytree whose leaves are exactly the
  saved intermediate values. XLA may fuse some of them away: an upper bound.
  """
  forward = lambda p, b, k: jax.vjp(lambda q: loss_fn(q, b, k)[0], p)[1]
  saved = jax.eval_shape(forward, params, batch, rng)
  return max(0, _bytes(saved) - _bytes(params))


def dry_run(config: ConfigDict) -> None:
  """Prints configuration, parameter table, FLOPs per step and memory."""
  print(config)
  rng = jax.random.key(0)
  params = jax.eval_shape(make_init_fn(config), rng)
  print(parameter_overview.get_parameter_overview(params, include_stats=False))

  mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
  batch_size = config.train.batch_size
  parts = num_microbatches(
    batch_size, config.train.per_device_batch_size, mesh.size
  )
  loss_fn = make_loss_fn(config)
  per_device = max(1, batch_size // parts // mesh.size)
  batch = batch_shapes(config.data.resolution, per_device)
  grad_fn = jax.value_and_grad(loss_fn, has_aux=True)
  with progress.waiting("trace the training step"):
    # Linear in the batch, up to the learned embeddings' once-a-batch share.
    flops = count_flops(grad_fn, params, batch, rng) * parts * mesh.size
    activations = residual_bytes(loss_fn, params, batch, rng)

  sharded = _bytes_per_device(params, state_sharding(mesh, params))
  rows = {
    "parameters": sharded,
    "average of parameters": sharded,
    "Adam moments": 2 * sharded,
    "gradients": sharded,
    "activations (upper bound)": activations,
  }
  print(f"devices: {mesh.size}, mesh data x fsdp: {tuple(mesh.shape.values())}")
  print(f"batch: {batch_size} = {parts} x {mesh.size} devices x {per_device}")
  print(f"FLOPs per training step: {flops:.4g}")
  print("expected memory per device:")
  for name, size in rows.items():
    print(f"  {name:28s}{size / 2**30:10.3f} GiB")
  print(f"  {'sum':28s}{sum(rows.values()) / 2**30:10.3f} GiB")
