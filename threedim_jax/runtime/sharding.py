# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where arrays live: mesh ('data', 'fsdp'), shardings by shape.

One device is the 1x1 case of the same code. The batch is split over both
axes; parameters, their average and the optimizer state over 'fsdp' alone.
"""

from collections.abc import Callable
import math

import jax
from jax.sharding import (
  AbstractMesh,
  AxisType,
  Mesh,
  NamedSharding,
  PartitionSpec,
)
from jaxtyping import PyTree
import numpy as np

from threedim_jax.runtime.errors import UserError

AXES = ("data", "fsdp")

# Smaller arrays are replicated: splitting a bias costs more than it saves.
MIN_SIZE_TO_SHARD = 2**14


def mesh_shape(data: int, fsdp: int, num_devices: int) -> tuple[int, int]:
  """(data, fsdp); data = -1 takes what fsdp leaves; UserError if uneven."""
  if data == -1 and fsdp > 0:
    data = num_devices // fsdp
  if fsdp < 1 or data * fsdp != num_devices:
    raise UserError(
      f"mesh.data x mesh.fsdp = {data} x {fsdp} does not cover the"
      f" {num_devices} devices; set mesh.data=-1 and mesh.fsdp to a divisor"
      f" of {num_devices}"
    )
  return data, fsdp


def make_mesh(data: int, fsdp: int) -> Mesh:
  """A mesh over all devices."""
  shape = mesh_shape(data, fsdp, jax.device_count())
  return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * 2)


def make_mesh_on_paper(data: int, fsdp: int, num_devices: int) -> AbstractMesh:
  """A mesh of devices that need not be here, to ask about shapes."""
  return AbstractMesh(mesh_shape(data, fsdp, num_devices), AXES)


def make_local_mesh(data: int, fsdp: int) -> Mesh:
  """This process's devices alone, for work that the processes share out.

  The only process keeps to `make_mesh`. With several, the axes speak of the
  devices of all: here `fsdp` is what of it divides this one's.
  """
  if jax.process_count() == 1:
    return make_mesh(data, fsdp)
  devices = jax.local_devices()
  fsdp = math.gcd(fsdp, len(devices))
  return jax.make_mesh(
    (len(devices) // fsdp, fsdp),
    AXES,
    axis_types=(AxisType.Auto,) * 2,
    devices=devices,
  )


def batch_sharding(mesh: Mesh | AbstractMesh) -> NamedSharding:
  """The leading axis over every device."""
  return NamedSharding(mesh, PartitionSpec(AXES))


def replicated(mesh: Mesh | AbstractMesh) -> NamedSharding:
  return NamedSharding(mesh, PartitionSpec())


def _spec(shape: tuple[int, ...], num_shards: int) -> PartitionSpec:
  """Splits the largest divisible axis of arrays that are big enough."""
  divisible = [i for i, n in enumerate(shape) if n % num_shards == 0]
  if math.prod(shape) < MIN_SIZE_TO_SHARD or not divisible:
    return PartitionSpec()
  axis = max(divisible, key=lambda i: shape[i])
  return PartitionSpec(*[None] * axis, "fsdp")


def state_sharding(mesh: Mesh | AbstractMesh, shapes: PyTree) -> PyTree:
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


def jit_train_step(
  train_step: Callable, mesh: Mesh | AbstractMesh, state_sh: PyTree
) -> jax.stages.Wrapped:
  """(state, batch, rng) -> (state, metrics), sharded, the state donated."""
  rep = replicated(mesh)
  return jax.jit(
    train_step,
    in_shardings=(state_sh, batch_sharding(mesh), rep),
    out_shardings=(state_sh, rep),
    donate_argnums=0,
  )
