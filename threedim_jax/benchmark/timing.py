# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compiles, repeats, and compares with a ceiling.

  program = compile_program(jax.jit(fn), *args)   # never from a cache
  times = time_calls(lambda: program.compiled(*args), seconds=10)
  row = make_row("train", "step", times, flops=..., program=program)

A call is timed on the host until its results are ready: the device's work and
the cost of starting it both count.
"""

from collections.abc import Callable, Sequence
import contextlib
import statistics
import time
from typing import Any, NamedTuple

import jax
from jax.experimental.compilation_cache import compilation_cache
import jax.numpy as jnp
import numpy as np

MIN_REPEATS = 3
# Edges of the square matrices whose products give the ceiling.
CEILING_SIZES = {"cpu": (512, 1024, 2048)}
ACCELERATOR_SIZES = (4096, 8192, 16384)

Row = dict[str, Any]


class Times(NamedTuple):
  """Seconds of a call."""

  median: float
  fastest: float
  repeats: int


class Program(NamedTuple):
  """A compiled function and the seconds that it took to make it."""

  compiled: jax.stages.Compiled
  lower_seconds: float
  compile_seconds: float


@contextlib.contextmanager
def no_compilation_cache():
  """Programs that are compiled inside are not read from a cache."""
  before = jax.config.jax_enable_compilation_cache
  jax.config.update("jax_enable_compilation_cache", False)
  compilation_cache.reset_cache()  # jax reads the option only once
  try:
    yield
  finally:
    jax.config.update("jax_enable_compilation_cache", before)
    compilation_cache.reset_cache()


def compile_program(jitted, *args) -> Program:
  """Traces and compiles for `args`, which may be shapes, without a cache."""
  with no_compilation_cache():
    start = time.perf_counter()
    lowered = jitted.lower(*args)
    middle = time.perf_counter()
    compiled = lowered.compile()
    end = time.perf_counter()
  return Program(compiled, middle - start, end - middle)


def time_in_turns(
  fns: Sequence[Callable[[], Any]], seconds: float | int
) -> list[Times]:
  """Times functions in rounds: each is called once in every round.

  A machine that is slower for a while is slower for all of them, so their
  ratios hold. The first round is not counted. Rounds go on for `seconds` times
  the number of functions, and at least `MIN_REPEATS` times.
  """
  for fn in fns:
    jax.block_until_ready(fn())
  times: list[list[float]] = [[] for _ in fns]
  end = time.perf_counter() + seconds * len(fns)
  while len(times[0]) < MIN_REPEATS or time.perf_counter() < end:
    for fn, of_fn in zip(fns, times, strict=True):
      start = time.perf_counter()
      jax.block_until_ready(fn())
      of_fn.append(time.perf_counter() - start)
  return [summary(of_fn) for of_fn in times]


def time_calls(fn: Callable[[], Any], seconds: float | int) -> Times:
  """`time_in_turns` of one function."""
  return time_in_turns([fn], seconds)[0]


def summary(times: list[float]) -> Times:
  return Times(statistics.median(times), min(times), len(times))


def program_bytes(program: Program) -> int | None:
  """Memory of one device while it runs; None if the compiler does not say."""
  m = program.compiled.memory_analysis()
  if m is None:
    return None
  total = m.temp_size_in_bytes + m.argument_size_in_bytes
  return total + m.output_size_in_bytes - m.alias_size_in_bytes


def make_row(
  what: str,
  name: str,
  times: Times,
  *,
  count: float | int = 1,
  unit: str = "examples/s",
  flops: int | None = None,
  program: Program | None = None,
  devices: int = 1,
  **more,
) -> Row:
  """Makes a row of the table.

  Args:
    what: the part of the benchmark.
    name: what was timed.
    times: of a call.
    count: how many of `unit` a call makes.
    unit: of the rate.
    flops: of a call, of all devices together.
    program: that was called, for its memory and compile time.
    devices: that took part.
    **more: further columns of the JSON file.
  """
  row: Row = {
    "what": what,
    "name": name,
    "seconds": times.median,
    "fastest": times.fastest,
    "repeats": times.repeats,
    "rate": count / times.median,
    "unit": unit,
    "devices": devices,
  }
  if flops:
    row |= {"flops": flops, "tflops": flops / times.median / 1e12}
  if program is not None:
    row |= {
      "program_bytes": program_bytes(program),
      "lower_seconds": program.lower_seconds,
      "compile_seconds": program.compile_seconds,
    }
  return row | more


def matmul_ceiling(
  dtype: str, num_devices: int, seconds: float | int, sizes=None
) -> float:
  """TFLOP/s of the best square matrix product, one on each device at once.

  float32 is multiplied as the network multiplies it, at jax's default
  precision: that is TF32 on recent NVIDIA GPUs.
  """
  devices = np.array(jax.devices()[:num_devices])
  mesh = jax.sharding.Mesh(devices, ("device",))
  split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("device"))
  sizes = sizes or CEILING_SIZES.get(jax.default_backend(), ACCELERATOR_SIZES)
  best = 0.0
  for size in sizes:
    shape = (num_devices, size, size)
    a = jax.jit(lambda s=shape: jnp.ones(s, dtype), out_shardings=split)()
    product = jax.jit(jnp.matmul, out_shardings=split)
    times = time_calls(lambda f=product, a=a: f(a, a), seconds / len(sizes))
    best = max(best, 2 * num_devices * size**3 / times.fastest / 1e12)
  return best
