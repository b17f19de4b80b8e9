# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--dry_run`: what a configuration would do and cost, without doing it.

Nothing is compiled and no device is used, so `--devices=32` asks about a mesh
that is not here. The memory is that of a training step; parameters, average
and moments are exact, activations an estimate (see `live_bytes`). Left out:
what the kernels of a platform use inside, the padding of small axes, gathered
parameters, the batches that wait, and held-out data.
"""

import dataclasses
import math

from clu import parameter_overview
import jax
from jaxtyping import PyTree
from ml_collections import ConfigDict

from threedim_jax.aot.flops import count_flops
from threedim_jax.benchmark.collectives import expected_bytes
from threedim_jax.benchmark.live_bytes import peak_bytes
from threedim_jax.models import make_init_fn
from threedim_jax.runtime import progress
from threedim_jax.runtime.sharding import make_mesh_on_paper, state_sharding
from threedim_jax.training.setup import make_setup
from threedim_jax.views.pair_batch import batch_shapes

GIB = 2**30
PAPER_DEVICES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def _bytes(tree: PyTree) -> int:
  return sum(
    math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree)
  )


def _bytes_per_device(shapes: PyTree, shardings: PyTree) -> int:
  shard = lambda x, s: math.prod(s.shard_shape(x.shape)) * x.dtype.itemsize
  return sum(jax.tree.leaves(jax.tree.map(shard, shapes, shardings)))


@dataclasses.dataclass(frozen=True)
class Cost:
  """Of a training step on a mesh of (data, fsdp)."""

  mesh: tuple[int, int]
  parts: int  # micro-batches
  per_device: int  # examples at a time
  flops: int  # of all devices
  memory: dict[str, int]  # bytes per device
  collectives: dict[str, int]  # bytes per device


def training_cost(config: ConfigDict, num_devices: int) -> Cost:
  """The mesh is the config's, spread over `num_devices`, here or not."""
  mesh = make_mesh_on_paper(config.mesh.data, config.mesh.fsdp, num_devices)
  rng = jax.random.key(0)
  setup = make_setup(config, mesh)
  params, shardings = setup.shapes.params, setup.shardings.params
  parts = setup.num_microbatches
  per_device = max(1, config.train.batch_size // parts // num_devices)
  batch = batch_shapes(config.data.resolution, per_device)
  grad_fn = jax.value_and_grad(setup.loss_fn, has_aux=True)
  # Linear in the batch, up to the learned embeddings' once-a-batch share.
  flops = count_flops(grad_fn, params, batch, rng) * parts * num_devices
  peak = peak_bytes(jax.make_jaxpr(grad_fn)(params, batch, rng))
  sharded = _bytes_per_device(params, shardings)
  return Cost(
    mesh=tuple(mesh.shape.values()),
    parts=parts,
    per_device=per_device,
    flops=flops,
    memory={
      "parameters": sharded,
      "average of parameters": sharded,
      "Adam moments": 2 * sharded,
      "gradients": sharded * (2 if parts > 1 else 1),
      # When the last gradient is there, so are all; till then they grow.
      "activations (estimate)": max(0, peak - _bytes(params)),
    },
    collectives=expected_bytes(params, shardings, parts),
  )


def device_memory() -> int | None:
  """Bytes of a device that is here; None where it does not tell (a CPU)."""
  stats = jax.local_devices()[0].memory_stats()
  return stats.get("bytes_limit") if stats else None


def hint(cost: Cost, limit: int | None) -> str | None:
  """What to change if the sum exceeds a device's memory."""
  total = sum(cost.memory.values())
  if limit is None or total <= limit:
    return None
  state = total - cost.memory["activations (estimate)"]
  if state > limit / 2:
    fix = "raise mesh.fsdp, which splits parameters and optimizer"
  else:
    fix = "lower train.per_device_batch_size or set model.remat to dots or full"
  return f"this exceeds the {limit / GIB:.1f} GiB that a device here has: {fix}"


def collectives_on_paper(config: ConfigDict) -> str:
  """A table: bytes that one device receives a step, over device counts."""
  params = jax.eval_shape(make_init_fn(config), jax.random.key(0))
  lines = [f"{'devices':>9s}{'data':>16s}{'fsdp':>16s}   MB a step and device"]
  for n in PAPER_DEVICES:
    row = []
    for data, fsdp in ((n, 1), (1, n)):
      mesh = make_mesh_on_paper(data, fsdp, n)
      total = expected_bytes(params, state_sharding(mesh, params))
      row.append(sum(total.values()) * (n > 1) / 1e6)
    lines.append(f"{n:9d}{row[0]:16.1f}{row[1]:16.1f}")
  return "\n".join(lines)


def dry_run(config: ConfigDict, num_devices: int | None = None) -> None:
  """Prints configuration, parameters, FLOPs, memory and what is sent.

  Args:
    config: configuration.
    num_devices: that the mesh has; None: those that are here.
  """
  print(config)
  params = jax.eval_shape(make_init_fn(config), jax.random.key(0))
  print(parameter_overview.get_parameter_overview(params, include_stats=False))
  with progress.waiting("trace the training step"):
    cost = training_cost(config, num_devices or jax.device_count())
  count = math.prod(cost.mesh)
  print(f"devices: {count}, mesh data x fsdp: {cost.mesh}")
  print(
    f"batch: {config.train.batch_size} = {cost.parts} x {count} devices x"
    f" {cost.per_device}"
  )
  print(f"FLOPs per training step: {cost.flops:.4g}")
  print("expected memory per device:")
  for name, size in cost.memory.items():
    print(f"  {name:28s}{size / GIB:10.3f} GiB")
  print(f"  {'sum':28s}{sum(cost.memory.values()) / GIB:10.3f} GiB")
  if text := hint(cost, device_memory()):
    print(f"NOTE: {text}")
  print("sent per training step and device, without compiling it:")
  for kind, size in cost.collectives.items():
    if size:
      print(f"  {kind:28s}{size / 1e6:10.1f} MB")
  print(collectives_on_paper(config))


def run(config: ConfigDict, args) -> None:
  """`--dry_run`."""
  dry_run(config, args.devices)
