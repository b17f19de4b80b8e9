# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Splits arrays over the devices of a mesh with the axes 'data' and 'fsdp'.

A batch is split over both axes. Parameters, their running average (EMA) and
the optimizer state are split over 'fsdp' alone. A single device is a 1x1 mesh.
"""

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

# Arrays with fewer elements are replicated: splitting a bias would save little
# memory and cost a collective operation.
MIN_SIZE_TO_SHARD = 2**14


def mesh_shape(data: int, fsdp: int, num_devices: int) -> tuple[int, int]:
  """Returns the lengths (data, fsdp) of the mesh axes, after checking them.

  Args:
    data: length of the "data" axis; -1 means `num_devices` / `fsdp`.
    fsdp: length of the "fsdp" axis: the number of parts that parameters are
      split into.
    num_devices: number of devices of all processes together.

  Raises:
    UserError: data x fsdp is not the number of devices.
  """
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
  """Makes a mesh of all devices; the arguments are those of `mesh_shape`."""
  shape = mesh_shape(data, fsdp, jax.device_count())
  return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * 2)


def make_mesh_on_paper(data: int, fsdp: int, num_devices: int) -> AbstractMesh:
  """Makes a mesh without devices, to compute how arrays would be split.

  The arguments are those of `mesh_shape`.
  """
  return AbstractMesh(mesh_shape(data, fsdp, num_devices), AXES)


def make_local_mesh(data: int, fsdp: int) -> Mesh:
  """Makes a mesh of this process's devices, for work without other processes.

  Args:
    data: length of the "data" axis, see `mesh_shape`; ignored if the run has
      several processes.
    fsdp: length of the "fsdp" axis. If the run has several processes, the
      length is instead the greatest common divisor of `fsdp` and the number of
      this process's devices.
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


def platform_of(mesh: Mesh | AbstractMesh) -> str:
  """Returns "cpu", "gpu" or "tpu"; "cpu" for a mesh without devices."""
  if isinstance(mesh, AbstractMesh):
    return "cpu"
  return mesh.devices.flat[0].platform


def batch_sharding(mesh: Mesh | AbstractMesh) -> NamedSharding:
  """Returns the sharding that splits an array's first axis over all devices."""
  return NamedSharding(mesh, PartitionSpec(AXES))


def replicated(mesh: Mesh | AbstractMesh) -> NamedSharding:
  """Returns the sharding that puts a whole copy of an array on every device."""
  return NamedSharding(mesh, PartitionSpec())


def _spec(shape: tuple[int, ...], num_shards: int) -> PartitionSpec:
  """Returns how an array of this shape is split over the "fsdp" axis of a mesh.

  `num_shards` is the length of that axis. The split dimension is the largest
  one that `num_shards` divides. Small arrays, and arrays without such a
  dimension, are replicated.
  """
  divisible = [i for i, n in enumerate(shape) if n % num_shards == 0]
  if math.prod(shape) < MIN_SIZE_TO_SHARD or not divisible:
    return PartitionSpec()
  axis = max(divisible, key=lambda i: shape[i])
  return PartitionSpec(*[None] * axis, "fsdp")


def state_sharding(mesh: Mesh | AbstractMesh, shapes: PyTree) -> PyTree:
  """Returns a sharding for every array in a train state or another tree.

  `shapes` is that tree, with shapes in place of arrays.
  """
  return jax.tree.map(
    lambda x: NamedSharding(mesh, _spec(x.shape, mesh.shape["fsdp"])), shapes
  )


def with_shardings(shapes: PyTree, shardings: PyTree) -> PyTree:
  """Adds shardings to shapes, to make a target for restoring a checkpoint."""
  return jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    shapes,
    shardings,
  )


def put_batch(batch: PyTree, mesh: Mesh) -> PyTree:
  """Joins the examples of all processes into one batch, split over all devices.

  Args:
    batch: tree of NumPy arrays with only this process's examples of the batch.
    mesh: the devices to split the whole batch over.
  """
  sharding = batch_sharding(mesh)
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)),
    batch,
  )
