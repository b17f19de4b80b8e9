# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Seconds until a program is there, without a compilation cache."""

import jax
from ml_collections import ConfigDict

from threedim_jax.benchmark import timing
from threedim_jax.benchmark.sampling import compile_sampler, sampler_args
from threedim_jax.benchmark.timing import Program, Row
from threedim_jax.benchmark.training import compile_step
from threedim_jax.models import make_init_fn


def compile_row(name: str, program: Program) -> Row:
  total = program.lower_seconds + program.compile_seconds
  return {
    "what": "compile",
    "name": name,
    "seconds": total,
    "fastest": total,
    "repeats": 1,
    "lower_seconds": program.lower_seconds,
    "compile_seconds": program.compile_seconds,
    "program_bytes": timing.program_bytes(program),
  }


def rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """Initialisation, train step, and the sampler of one view; each once."""
  del seconds
  init_fn, rng = make_init_fn(config), jax.random.key(0)
  init = timing.compile_program(jax.jit(init_fn), rng)
  step = compile_step(config)
  sampler = compile_sampler(
    config,
    config.sampler.num_sample_steps,
    jax.eval_shape(init_fn, rng),
    *sampler_args(config, config.sample.num_views + 1),
  )
  return [
    compile_row("init", init),
    compile_row("train step", step),
    compile_row("sampler", sampler),
  ]
