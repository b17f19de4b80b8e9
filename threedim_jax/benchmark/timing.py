# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compiles programs, times their calls, and makes table rows from the results.

  program = compile_program(jax.jit(fn), *args)   # never from a cache
  (times,) = time_in_turns([lambda: program.compiled(*args)], seconds=10)
  row = make_row("train", "step", times, flops=..., program=program)

Each call is timed on the host, from the start of the call until its results are
ready. The time therefore includes the device's work and the cost of launching
that work.
"""

from collections.abc import Callable, Sequence
import statistics
import time
from typing import Any, NamedTuple

import jax
from jax.experimental.compilation_cache import compilation_cache
import jax.numpy as jnp
import numpy as np

MIN_REPEATS = 3
# Sides of the square matrices whose products are timed as the ceiling.
CEILING_SIZES = {"cpu": (512, 1024, 2048)}
ACCELERATOR_SIZES = (4096, 8192, 16384)

Row = dict[str, Any]


class Times(NamedTuple):
  """The median and the fastest time of `repeats` calls, in seconds."""

  median: float
  fastest: float
  repeats: int


class Program(NamedTuple):
  """A compiled function, and the seconds that tracing and compiling took."""

  compiled: jax.stages.Compiled
  lower_seconds: float
  compile_seconds: float


def compile_program(jitted, *args) -> Program:
  """Traces and compiles a jitted function, without the compilation cache.

  `args` are arguments to compile the function for, or their shapes and dtypes.
  """
  before = jax.config.jax_enable_compilation_cache
  jax.config.update("jax_enable_compilation_cache", False)
  compilation_cache.reset_cache()  # JAX reads the option only after a reset
  try:
    start = time.perf_counter()
    lowered = jitted.lower(*args)
    middle = time.perf_counter()
    compiled = lowered.compile()
    return Program(compiled, middle - start, time.perf_counter() - middle)
  finally:
    jax.config.update("jax_enable_compilation_cache", before)
    compilation_cache.reset_cache()


def time_in_turns(
  fns: Sequence[Callable[[], Any]], seconds: float | int
) -> list[Times]:
  """Times functions in rounds; each round calls every function once.

  If the machine is slow for a while, all functions slow down alike, so the
  ratios of their times still hold. The first round is a warm-up and is not
  counted. The rounds after it go on for `seconds` per function, and there are
  at least `MIN_REPEATS` of them.

  Returns:
    The times of each function, in the order of `fns`.
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


def summary(times: list[float]) -> Times:
  return Times(statistics.median(times), min(times), len(times))


def program_bytes(program: Program) -> int | None:
  """Returns how many bytes of memory a program needs on each device.

  The result is None if the compiler does not report memory.
  """
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
  """Makes a row of the benchmark's table, as a dictionary.

  Args:
    what: name of the part of the benchmark, such as "train".
    name: name of the program that was timed.
    times: measured times of one call of the program.
    count: number of examples, views or steps that one call processes.
    unit: unit of the rate. The rate is `count` divided by the median time.
    flops: floating-point operations of one call, summed over all devices; None
      leaves TFLOP/s out of the row.
    program: the program that was called; None leaves its memory and its compile
      time out of the row.
    devices: number of devices that ran the program.
    **more: further entries of the row.
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
  """Returns the TFLOP/s of the fastest square matrix product.

  Every device computes its own product at the same time, and the result is the
  sum over all devices. As in the network, float32 is multiplied at JAX's
  default precision, which is TF32 on recent NVIDIA GPUs.

  Args:
    dtype: dtype of the matrices.
    num_devices: number of devices to use.
    seconds: total time for measuring all `sizes`, in seconds.
    sizes: side lengths of the matrices to try; None uses sizes that suit the
      platform.
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
    (times,) = time_in_turns(
      [lambda f=product, a=a: f(a, a)], seconds / len(sizes)
    )
    best = max(best, 2 * num_devices * size**3 / times.fastest / 1e12)
  return best
