# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The train step, exactly as `train.py` builds it, and a forward pass alone.

Pictures are random and already on the device: waiting for data is measured in
`data`. Weights are random, whatever `train.init_from` says.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from threedim_jax.benchmark import timing
from threedim_jax.benchmark.flops import count_flops
from threedim_jax.benchmark.inputs import denoise_args, random_batch
from threedim_jax.benchmark.timing import Program, Row
from threedim_jax.diffusion.losses import PairBatch, batch_shapes
from threedim_jax.from_config import (
  make_denoiser,
  make_init_fn,
  make_loss_fn,
  make_tx,
)
from threedim_jax.runtime.sharding import (
  jit_train_step,
  make_mesh,
  put_batch,
  replicated,
  state_sharding,
)
from threedim_jax.training.optim import ema_decay
from threedim_jax.training.train_state import create_train_state
from threedim_jax.training.train_step import make_train_step, num_microbatches


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


def step_parts(config: ConfigDict):
  """(mesh, step function, create function, state's shapes and shardings)."""
  batch_size = config.train.batch_size
  mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
  parts = num_microbatches(
    batch_size, config.train.per_device_batch_size, mesh.size
  )
  tx, init_fn = make_tx(config), make_init_fn(config)
  decay = ema_decay(config.optim.ema_half_life_examples, batch_size)
  step = make_train_step(make_loss_fn(config), tx, decay, parts)
  create = lambda rng: create_train_state(init_fn, tx, rng)
  shapes = jax.eval_shape(create, jax.random.key(0))
  return mesh, step, create, shapes, state_sharding(mesh, shapes)


def compile_step(config: ConfigDict) -> Program:
  """The step's program, its state donated; call it inside the mesh."""
  mesh, step, _, shapes, shardings = step_parts(config)
  jitted = jit_train_step(step, mesh, shardings)
  batch = batch_shapes(config.data.resolution, config.train.batch_size)
  with jax.set_mesh(mesh):
    return timing.compile_program(jitted, shapes, batch, jax.random.key(1))


def step_case(config: ConfigDict) -> Case:
  """`call(batch=...)` takes a step; without a batch, on the same pictures."""
  mesh, step, create, shapes, shardings = step_parts(config)
  resolution, batch_size = config.data.resolution, config.train.batch_size
  program, rng = compile_step(config), jax.random.key(1)
  state = jax.jit(create, out_shardings=shardings)(jax.random.key(0))
  same = put_batch(random_batch(resolution, batch_size), mesh)
  rng = jax.device_put(rng, replicated(mesh))

  def call(batch: PairBatch | None = None):
    nonlocal state
    state, metrics = program.compiled(state, batch or same, rng)
    return state, metrics

  flops = count_flops(step, shapes, batch_shapes(resolution, batch_size), rng)
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
