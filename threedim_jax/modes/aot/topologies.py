# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Looks up TPU slices by name, and holds facts about their chips.

  topology = get_topology("v5e:4x4")
  mesh = topology.make_mesh(data=-1, fsdp=4)

A slice is a group of connected TPU chips that one program uses. Programs can be
compiled for the devices of a `Topology`, but cannot run on them.
"""

from collections.abc import Sequence
import dataclasses
import importlib.util
import math
import os
import re

import jax
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh
import numpy as np

from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.sharding import AXES, mesh_shape


@dataclasses.dataclass(frozen=True)
class Chip:
  """A generation of TPUs: facts about each JAX device and about slices.

  Attributes:
    peak: one device's peak rate of dense bfloat16 matrix products, in FLOP/s.
    multipliers: number of multiply-adds that the device's matrix units do per
      cycle.
    gib: GiB of a device's memory that programs can use, according to the
      compiler.
    dims: number of dimensions in the shape of a slice, 2 or 3.
    most: number of chips in the largest slice.
    example: name of a slice that exists, for error messages.
    options: further arguments of JAX's `get_topology_desc`, by name.
  """

  peak: float
  multipliers: int
  gib: float
  dims: int
  most: int
  example: str
  options: dict = dataclasses.field(default_factory=dict)

  @property
  def clock(self) -> float:
    """Clock rate in Hz, which follows from `peak` and `multipliers`."""
    return self.peak / (2 * self.multipliers)


# The peaks are from cloud.google.com/tpu/docs/system-architecture-tpu-vm. The
# two cores of a v4 or v5p chip are one device ("megacore"), as is usual.
CHIPS = {
  "v4": Chip(
    *(275e12, 8 * 128**2, 30.75, 3, 4096, "v4:2x2x1"),
    {"chip_config_name": "megacore"},
  ),
  "v5e": Chip(197e12, 4 * 128**2, 15.75, 2, 256, "v5e:4x4"),
  "v5p": Chip(459e12, 8 * 128**2, 95.74, 3, 8960, "v5p:2x2x1"),
  "v6e": Chip(918e12, 4 * 256**2, 31.25, 2, 256, "v6e:4x4"),
}

# The compiler complains unless it is told a machine's name and kind.
_ENVIRONMENT = {
  "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # else a second process waits for a lock
  "TPU_SKIP_MDS_QUERY": "1",  # do not ask a cloud's metadata server
  "TPU_ACCELERATOR_TYPE": "v5litepod-4",
  "TPU_WORKER_HOSTNAMES": "localhost",
  "TPU_WORKER_ID": "0",
}


@dataclasses.dataclass(frozen=True)
class Topology:
  """A TPU slice.

  Attributes:
    name: name of the slice, such as "v5e:4x4".
    chip: facts about the chips of the slice.
    devices: JAX devices to compile for; no program can run on them.
  """

  name: str
  chip: Chip
  devices: Sequence[jax.Device]

  def make_mesh(self, data: int, fsdp: int) -> Mesh:
    """Makes a mesh of the slice's devices.

    `data` and `fsdp` are the lengths of the mesh axes, see `mesh_shape`.
    """
    shape = mesh_shape(data, fsdp, len(self.devices))
    return Mesh(
      np.array(self.devices).reshape(shape),
      AXES,
      axis_types=(AxisType.Auto,) * 2,
    )

  def one_host(self) -> "Topology":
    """Returns this slice, or a smaller one if this slice has several hosts.

    The smaller slice has as many chips as the first host, but does not contain
    that host's devices: for only a part of a slice, the compiler refuses
    programs with transfers between devices.
    """
    first = self.devices[0].process_index
    count = sum(d.process_index == first for d in self.devices)
    if count == len(self.devices):
      return self
    # Hosts of larger slices have 2 x 2 chips.
    shape = "x".join(["2", "2", "1"][: self.chip.dims])
    host = get_topology(f"{self.name.partition(':')[0]}:{shape}")
    assert len(host.devices) == count, (self.name, count)
    return host


def check_compiler() -> None:
  """Raises a UserError if the TPU compiler is not installed."""
  if importlib.util.find_spec("libtpu") is None:
    raise UserError(
      "compiling for a TPU needs the TPU compiler, a package that runs on any"
      " Linux machine: pip install 'threedim_jax[aot]'"
    )


def get_topology(name: str) -> Topology:
  """Looks up a TPU slice by name.

  Args:
    name: generation and shape, such as "v5e:4x4".

  Raises:
    UserError: there is no such slice, or the TPU compiler is not installed.
  """
  generation, _, shape = name.partition(":")
  chip = CHIPS.get(generation)
  if chip is None or not re.fullmatch(r"\d+(x\d+)*", shape):
    raise UserError(
      f"--topology={name}: give a generation of TPU ({', '.join(CHIPS)}) and"
      f" the shape of a slice, for example {CHIPS['v5e'].example}"
    )
  check_compiler()
  for key, value in _ENVIRONMENT.items():
    os.environ.setdefault(key, value)
  options = dict(chip.options)
  sizes = [int(n) for n in shape.split("x")]
  if len(sizes) != chip.dims or not 1 <= math.prod(sizes) <= chip.most:
    raise UserError(
      f"--topology={name}: a slice of {generation} has {chip.dims} dimensions"
      f" and 1 to {chip.most} chips, for example {chip.example}"
    )
  if math.prod(sizes) == 1:
    options["chips_per_host_bounds"] = (1, 1, 1)
  try:
    devices = topologies.get_topology_desc(name, "tpu", **options).devices
  except jax.errors.JaxRuntimeError as e:
    reason = str(e).removeprefix("INVALID_ARGUMENT: ")
    raise UserError(
      f"--topology={name}: there is no such slice ({reason}). One that exists"
      f" is {chip.example}"
    ) from e
  return Topology(name, chip, devices)
