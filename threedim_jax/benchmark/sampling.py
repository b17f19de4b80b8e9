# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What sampling adds to the network's own cost.

A denoising step needs the network on 2 B examples, conditional and not. The
cost of a step is the slope between two short samplings, so that what happens
once per view is left out; the time of a whole view is extrapolated from both.
"""

import functools

import jax
from ml_collections import ConfigDict

from threedim_jax.aot.flops import count_flops
from threedim_jax.benchmark import timing
from threedim_jax.benchmark.inputs import random_views
from threedim_jax.benchmark.timing import Program, Row, Times
from threedim_jax.benchmark.training import forward_case, random_params
from threedim_jax.diffusion.sampler import make_bank
from threedim_jax.sampling.load import make_view_fn, settings_of

FEW_STEPS, MORE_STEPS = 4, 16  # timed
MANY_STEPS = 64  # only compiled, for its memory


def make_sampler(config: ConfigDict, num_sample_steps: int):
  """(params, keys, bank, target camera) -> views [B, H, W, 3]."""
  return functools.partial(
    make_view_fn(config.model, config.diffusion.prediction),
    num_sample_steps=num_sample_steps,
    guidance_weight=config.sampler.guidance_weight,
    **settings_of(config).static_options(),
  )


def sampler_args(config: ConfigDict, num_slots: int) -> tuple:
  """Arguments of `make_sampler`'s function but the parameters."""
  B = config.sample.batch_size
  views, cams, target = random_views(config, B)
  rngs = jax.random.split(jax.random.key(0), B)
  return rngs, make_bank(views, cams, num_slots), target


def compile_sampler(config: ConfigDict, num_sample_steps: int, *args):
  jitted = jax.jit(make_sampler(config, num_sample_steps))
  return timing.compile_program(jitted, *args)


def step_flops(config: ConfigDict, *args) -> int:
  """Of one denoising step: what a view of two has more than one of one."""
  once, twice = (count_flops(make_sampler(config, n), *args) for n in (1, 2))
  return twice - once


def slope(few: Times, more: Times) -> Times:
  """Times of one step, of which `more` has some more than `few`."""
  steps = MORE_STEPS - FEW_STEPS
  # Noise may turn tiny programs around: time does not run backwards.
  per_step = lambda a, b: max((b - a) / steps, 1e-9)
  median = per_step(few.median, more.median)
  # Nor is a difference of the fastest always smaller than that of medians.
  fastest = min(median, per_step(few.fastest, more.fastest))
  return Times(median, fastest, min(few.repeats, more.repeats))


def temp_bytes(program: Program) -> int | None:
  m = program.compiled.memory_analysis()
  return None if m is None else m.temp_size_in_bytes


def memory_row(few: Program, many: Program) -> Row:
  """Temporary memory must not grow with the number of steps."""
  a, b = temp_bytes(few), temp_bytes(many)
  ratio = b / a if a and b else None
  text = "not told" if ratio is None else f"{ratio:.3f}"
  return {
    "what": "sample",
    "name": f"memory, {MANY_STEPS} steps / {FEW_STEPS}",
    "temp_bytes": {FEW_STEPS: a, MANY_STEPS: b},
    "temp_bytes_ratio": ratio,
    "program_bytes": timing.program_bytes(many),
    "note": f"temporary bytes, ratio {text}",
  }


def view_row(config: ConfigDict, few: Times, step: Times) -> Row:
  """Seconds of a batch of views at the configuration's number of steps."""
  num_steps, B = config.sampler.num_sample_steps, config.sample.batch_size
  extra = num_steps - FEW_STEPS
  median = max(few.median + extra * step.median, step.median)
  # Fewer steps than were timed turn the order of the two around.
  fastest = max(few.fastest + extra * step.fastest, step.fastest)
  times = Times(median, min(median, fastest), few.repeats)
  return timing.make_row(
    "sample",
    f"view, {num_steps} steps",
    times,
    count=B,
    unit="views/s",
    batch_size=B,
    extrapolated=True,
    seconds_per_view=times.median / B,
    note=f"extrapolated from {FEW_STEPS} and {MORE_STEPS} steps",
  )


def rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """forward of 2 B, a denoising step, a view, and memory against steps."""
  B = config.sample.batch_size
  forward = forward_case(config, 2 * B, num_unconditional=B)
  args = (
    random_params(config),
    *sampler_args(config, config.sample.num_views + 1),
  )
  few, more, many = (
    compile_sampler(config, n, *args)
    for n in (FEW_STEPS, MORE_STEPS, MANY_STEPS)
  )
  forward_times, few_times, more_times = timing.time_in_turns(
    [
      forward.call,
      lambda: few.compiled(*args),
      lambda: more.compiled(*args),
    ],
    seconds,
  )
  forward_row = timing.make_row(
    "sample",
    "forward of twice the batch",
    forward_times,
    count=2 * B,
    flops=forward.flops,
    program=forward.program,
    batch_size=2 * B,
  )
  step = slope(few_times, more_times)
  ratio = step.median / forward_times.median
  step_row = timing.make_row(
    "sample",
    "denoising step",
    step,
    count=2 * B,
    flops=step_flops(config, *args),
    program=more,
    batch_size=B,
    step_over_forward=ratio,
    note=f"{ratio:.3f}x the forward pass",
  )
  view = view_row(config, few_times, step)
  return [forward_row, step_row, view, memory_row(few, many)]
