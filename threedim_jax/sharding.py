# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where arrays live: mesh ('data', 'fsdp'), shardings by shape.

One device is the 1x1 case of the same code. The batch is split over both
axes; parameters, their average and the optimizer state over 'fsdp' alone.
"""

import math

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree
import numpy as np

from threedim_jax.errors import UserError

AXES = ("data", "fsdp")

# Smaller arrays are replicated: splitting a bias costs more than it saves.
MIN_SIZE_TO_SHARD = 2**14


def make_mesh(data: int, fsdp: int) -> Mesh:
  """A mesh over all devices; data = -1 takes what fsdp leaves."""
  num_devices = jax.device_count()
  if data == -1 and fsdp > 0:
    data = num_devices // fsdp
  if fsdp < 1 or data * fsdp != num_devices:
    raise UserError(
      f"mesh.data x mesh.fsdp = {data} x {fsdp} does not cover the"
      f" {num_devices} devices; set mesh.data=-1 and mesh.fsdp to a divisor"
      f" of {num_devices}"
    )
  return jax.make_mesh((data, fsdp), AXES, axis_types=(AxisType.Auto,) * 2)


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """The leading axis over every device."""
  return NamedSharding(mesh, PartitionSpec(AXES))


def replicated(mesh: Mesh) -> NamedSharding:
  return NamedSharding(mesh, PartitionSpec())


def _spec(shape: tuple[int, ...], num_shards: int) -> PartitionSpec:
  """Splits the largest divisible axis of arrays that are big enough."""
  divisible = [i for i, n in enumerate(shape) if n % num_shards == 0]
  if math.prod(shape) < MIN_SIZE_TO_SHARD or not divisible:
    return PartitionSpec()
  axis = max(divisible, key=lambda i: shape[i])
  return PartitionSpec(*[None] * axis, "fsdp")


def state_sharding(mesh: Mesh, shapes: PyTree) -> PyTree:
  """Shardings of a train state, or any tree, from its `eval_shape`."""
  return jax.tree.map(
    lambda x: NamedSharding(mesh, _spec(x.shape, mesh.shape["fsdp"])), shapes
  )


def put_batch(batch: PyTree, mesh: Mesh) -> PyTree:
  """This process's slice of the batch -> one global array per leaf."""
  sharding = batch_sharding(mesh)
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)),
    batch,
  )
