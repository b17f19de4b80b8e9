# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compiles the train step and the sampler for a TPU slice, without a TPU.

  result = compile_train_step(config, get_topology("v5e:4x4"))
  result.fits, result.memory["peak"], result.seconds, result.share_of_peak

`share_of_peak` is the estimated FLOP/s divided by the chip's peak FLOP/s. The
programs have the same set-up, shardings and donated buffers as in a real run.
"""

from collections.abc import Callable
import dataclasses
import re
import time

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from threedim_jax.diffusion.sampler import make_bank
from threedim_jax.models import get_model, make_init_fn
from threedim_jax.modes.aot.flops import count_flops
from threedim_jax.modes.aot.profile import Profile, read_profile
from threedim_jax.modes.aot.topologies import Topology
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.sharding import (
  make_mesh_on_paper,
  mesh_shape,
  platform_of,
  state_sharding,
)
from threedim_jax.sampling.load import settings_of
from threedim_jax.sampling.view_sampler import jit_next_view, make_view_fn
from threedim_jax.training.setup import make_setup
from threedim_jax.views.cameras import Camera


@dataclasses.dataclass(frozen=True)
class Compiled:
  """A program compiled for a TPU slice, with the compiler's estimates.

  Sizes and costs are for one device, unless stated otherwise.

  Attributes:
    name: "train step" or "sampler".
    topology: the TPU slice.
    mesh: number of devices along the axes data and fsdp.
    count: number of examples in a train step, or of views that the sampler
      makes in one run, on all devices together.
    flops: FLOPs of one run, not counting recomputed activations.
    compile_seconds: time that tracing and compiling took.
    refusal: the compiler's message if the program does not fit into the
      device's memory; else None.
    memory: bytes of "arguments", "temporaries", "aliased" (arguments whose
      memory the results reuse) and "peak"; empty if the program does not fit.
    bytes_accessed: bytes of memory traffic, as counted by XLA; None if the
      program does not fit.
    profile: estimated cycles; None if the program does not fit.
    executable: the compiled program, for its text and shardings; None if the
      program does not fit.
  """

  name: str
  topology: Topology
  mesh: tuple[int, int]
  count: int
  flops: int
  compile_seconds: float
  refusal: str | None = None
  memory: dict[str, int] = dataclasses.field(default_factory=dict)
  bytes_accessed: float | None = None
  profile: Profile | None = None
  executable: jax.stages.Compiled | None = None

  @property
  def fits(self) -> bool:
    return self.refusal is None

  @property
  def seconds(self) -> float:
    """Estimated seconds of one run, without transfers between devices."""
    return self.profile.cycles / self.topology.chip.clock

  @property
  def rate(self) -> float:
    """Estimated examples or views per second, on all devices together."""
    return self.count / self.seconds

  @property
  def share_of_peak(self) -> float:
    return self.flops / self.seconds / self.topology.chip.peak


def without_recomputation(config: ConfigDict) -> ConfigDict:
  """Returns a copy of the configuration with rematerialisation turned off.

  A model built from this copy keeps all activations for the backward pass.
  """
  config = config.copy_and_resolve_references()
  config.model.remat = "none"
  return config


def compile_train_step(config: ConfigDict, topology: Topology) -> Compiled:
  """Compiles the train step of a configuration, sharded over a TPU slice.

  The configured mesh is spread over the slice.

  Raises:
    UserError: the mesh or the batch cannot be divided evenly over the slice.
  """
  mesh = topology.make_mesh(config.mesh.data, config.mesh.fsdp)
  setup = make_setup(config, mesh)
  rng = jax.eval_shape(lambda: jax.random.key(0))
  args = setup.shapes, setup.batch, rng
  # FLOPs are counted for the form of the network with the least arithmetic,
  # which a mesh without devices gives. Other forms may be faster despite more
  # arithmetic, but this must not raise their share of the peak.
  on_paper = make_mesh_on_paper(*mesh.shape.values(), mesh.size)
  plain = make_setup(without_recomputation(config), on_paper)
  flops = count_flops(plain.train_step, *args)
  with jax.set_mesh(mesh):
    return _compile(
      "train step",
      topology,
      tuple(mesh.shape.values()),
      config.train.batch_size,
      flops // mesh.size,
      lambda: setup.train_step.lower(*args),
    )


def compile_sampler(config: ConfigDict, topology: Topology) -> Compiled:
  """Compiles the program that samples the next view for a batch of objects.

  The batch has `sample.batch_size` objects. Every process samples its own
  objects on its own devices, so the program is compiled for the devices of a
  single host.
  """
  topology = dataclasses.replace(topology.one_host(), name=topology.name)
  data, fsdp = config.mesh.data, config.mesh.fsdp
  num_devices = len(topology.devices)
  try:
    data, fsdp = mesh_shape(data, fsdp, num_devices)
  except UserError:  # the configured mesh is for the devices of all hosts
    data, fsdp = num_devices, 1
  mesh = topology.make_mesh(data, fsdp)
  params = jax.eval_shape(make_init_fn(config), jax.random.key(0))
  batch_size, size = config.sample.batch_size, config.data.resolution
  capacity = config.sample.num_views + 1
  shape = jax.ShapeDtypeStruct

  def cameras(*dims):
    return Camera(
      shape((*dims, 4, 4), jnp.float32), shape((*dims, 3, 3), jnp.float32)
    )

  bank = jax.eval_shape(
    lambda views, cams: make_bank(views, cams, capacity),
    shape((batch_size, 1, size, size, 3), jnp.float32),
    cameras(batch_size, 1),
  )
  rngs = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), batch_size))
  args = (
    *(params, rngs, bank, cameras(batch_size), shape((), jnp.int32)),
    *(shape((), jnp.float32), shape((), jnp.int32)),
  )

  def next_view(platform):
    return jit_next_view(
      make_view_fn(
        get_model(config.model, platform), config.diffusion.prediction
      ),
      mesh,
      state_sharding(mesh, params),
      bank,
      settings_of(config).static_options(),
    )

  num_steps = config.sampler.num_sample_steps
  # "cpu": the form with the least arithmetic, as in `compile_train_step`.
  flops = count_flops(next_view("cpu"), *args, while_trips=num_steps)
  split = mesh.size if batch_size % mesh.size == 0 else 1
  return _compile(
    "sampler",
    topology,
    (data, fsdp),
    batch_size,
    flops // split,
    lambda: next_view(platform_of(mesh)).lower(*args),
    while_trips=num_steps,
  )


def _compile(
  name: str,
  topology: Topology,
  mesh: tuple[int, int],
  count: int,
  flops: int,
  lower: Callable[[], jax.stages.Lowered],
  *,
  while_trips: int = 1,
) -> Compiled:
  """Compiles a program, and reads the compiler's estimates.

  If the program does not fit into the device's memory, `refusal` of the result
  says so.

  Args:
    name: "train step" or "sampler".
    topology: the TPU slice.
    mesh: number of devices along the axes data and fsdp.
    count: number of examples or views that one run of the program processes, on
      all devices together.
    flops: FLOPs of one run, on one device.
    lower: function that traces the program, and returns its lowered form.
    while_trips: number of iterations to assume for a loop if the compiled
      program does not state how many there are.
  """
  start = time.monotonic()
  memory, bytes_accessed, profile, refusal = {}, None, None, None
  compiled = None
  with progress.waiting(f"compile the {name} for {topology.name}"):
    try:
      compiled = lower().compile()
    except jax.errors.JaxRuntimeError as e:
      if not re.search("RESOURCE_EXHAUSTED|[Oo]ut of memory", str(e)):
        raise
      refusal = _first_sentence(str(e))
    else:
      told = compiled.memory_analysis()
      memory = {
        "arguments": told.argument_size_in_bytes,
        "temporaries": told.temp_size_in_bytes,
        "aliased": told.alias_size_in_bytes,
        "peak": told.peak_memory_in_bytes,
      }
      bytes_accessed = compiled.cost_analysis().get("bytes accessed")
      profile = read_profile(compiled.as_text(), while_trips)
  return Compiled(
    name=name,
    topology=topology,
    mesh=mesh,
    count=count,
    flops=flops,
    compile_seconds=time.monotonic() - start,
    refusal=refusal,
    memory=memory,
    bytes_accessed=bytes_accessed,
    profile=profile,
    executable=compiled,
  )


def _first_sentence(message: str) -> str:
  """Returns the first line of the compiler's out-of-memory message.

  The later lines list the largest buffers.
  """
  line = message.strip().splitlines()[0]
  return line.removeprefix("RESOURCE_EXHAUSTED: ")
