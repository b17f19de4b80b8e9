# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The training step, exactly as training runs it, and a forward pass alone.

Pictures are random and already on the device: waiting for data is measured in
`data`. Weights are random, whatever `train.init_from` says.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from threedim_jax.aot.flops import count_flops
from threedim_jax.benchmark import timing
from threedim_jax.benchmark.inputs import denoise_args, random_batch
from threedim_jax.benchmark.timing import Program, Row
from threedim_jax.models import make_init_fn
from threedim_jax.runtime.sharding import make_mesh, put_batch, replicated
from threedim_jax.sampling.load import make_denoiser
from threedim_jax.training.setup import TrainSetup, make_setup
from threedim_jax.views.pair_batch import PairBatch


class Case(NamedTuple):
  """Something to time.

  Attributes:
    name: "step" or "forward".
    program: that runs.
    call: runs it once.
    flops: of a call, of all devices together.
    devices: that it runs on.
  """

  name: str
  program: Program
  call: Callable[..., Any]
  flops: int
  devices: int


def num_parameters(config: ConfigDict) -> int:
  params = jax.eval_shape(make_init_fn(config), jax.random.key(0))
  return sum(x.size for x in jax.tree.leaves(params))


def random_params(config: ConfigDict):
  return jax.jit(make_init_fn(config))(jax.random.key(0))


def compile_step(config: ConfigDict) -> Program:
  """The training step's program; call it inside the mesh."""
  return _compile_step(
    make_setup(config, make_mesh(config.mesh.data, config.mesh.fsdp))
  )


def _compile_step(setup: TrainSetup) -> Program:
  with jax.set_mesh(setup.mesh):
    return timing.compile_program(
      setup.train_step, setup.shapes, setup.batch, jax.random.key(1)
    )


def step_case(config: ConfigDict) -> Case:
  """`call(batch=...)` takes a step; without a batch, on the same pictures."""
  mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
  setup = make_setup(config, mesh)
  program, rng = _compile_step(setup), jax.random.key(1)
  create = jax.jit(setup.create_state, out_shardings=setup.shardings)
  state = create(jax.random.key(0))
  batch = random_batch(config.data.resolution, config.train.batch_size)
  same = put_batch(batch, mesh)
  rng = jax.device_put(rng, replicated(mesh))

  def call(batch: PairBatch | None = None):
    nonlocal state
    state, metrics = program.compiled(state, batch or same, rng)
    return state, metrics

  flops = count_flops(setup.train_step, setup.shapes, setup.batch, rng)
  return Case("step", program, call, flops, mesh.size)


def forward_case(
  config: ConfigDict,
  batch_size: int,
  num_unconditional: int = 0,
  mesh: Mesh | None = None,
) -> Case:
  """A forward pass of `batch_size` examples, split over a mesh if given."""
  denoiser, params = make_denoiser(config), random_params(config)
  forward = lambda params, *args: denoiser(params)(*args)
  args = denoise_args(config, batch_size, num_unconditional)
  if mesh:
    params, args = (
      jax.device_put(params, replicated(mesh)),
      put_batch(args, mesh),
    )
  program = timing.compile_program(jax.jit(forward), params, *args)
  flops = count_flops(forward, params, *args)
  call = lambda: program.compiled(params, *args)
  return Case("forward", program, call, flops, mesh.size if mesh else 1)


def cases(config: ConfigDict) -> Iterator[Case]:
  """One after the other, so that one's state is gone before the next."""
  mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
  yield forward_case(config, config.train.batch_size, mesh=mesh)
  yield step_case(config)


def case_row(config: ConfigDict, case: Case, times: timing.Times) -> Row:
  return timing.make_row(
    "train",
    case.name,
    times,
    count=config.train.batch_size,
    flops=case.flops,
    program=case.program,
    devices=case.devices,
    batch_size=config.train.batch_size,
    parameters=num_parameters(config),
  )


def rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """forward and step, of `train.batch_size` examples."""
  return [
    case_row(config, case, timing.time_calls(case.call, seconds))
    for case in cases(config)
  ]
