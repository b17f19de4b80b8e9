# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether the input pipeline keeps up with the train step."""

from collections.abc import Iterator
import time

import jax
from ml_collections import ConfigDict

from threedim_jax.benchmark import timing
from threedim_jax.benchmark.timing import Row
from threedim_jax.benchmark.training import Case, step_case
from threedim_jax.inputs.pairs import train_iterator
from threedim_jax.inputs.view_source import open_split
from threedim_jax.runtime.sharding import make_mesh, put_batch
from threedim_jax.views.pair_batch import PairBatch


def open_batches(config: ConfigDict) -> Iterator[PairBatch]:
  """Batches as training reads them; UserError where there is no data set."""
  return train_iterator(
    open_split(config, "train"),
    global_batch_size=config.train.batch_size,
    seed=config.seed,
    num_threads=config.data.num_threads,
  )


def reading(batches: Iterator[PairBatch], seconds: float | int) -> float:
  """Seconds a batch, over many: readers work ahead, so single ones mislead."""
  for _ in range(10):  # more than are kept ready
    next(batches)
  count, start = 0, time.perf_counter()
  while count < timing.MIN_REPEATS or time.perf_counter() - start < seconds:
    next(batches)
    count += 1
  return (time.perf_counter() - start) / count


def training_on_data(
  config: ConfigDict,
  case: Case,
  batches: Iterator[PairBatch],
  seconds: float | int,
) -> tuple[timing.Times, float]:
  """(seconds of a step with its data, share of them spent waiting for it).

  As in `train.py`: a step is started, then the one before is waited for. So
  single steps cannot be timed; the mean is both median and fastest.
  """
  count, waited, pending = 0, 0.0, None
  mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
  put = lambda batch: put_batch(batch, mesh)
  jax.block_until_ready(case.call(put(next(batches))))
  begin = time.perf_counter()
  while count < timing.MIN_REPEATS or time.perf_counter() - begin < seconds:
    start = time.perf_counter()
    batch = put(next(batches))
    waited += time.perf_counter() - start
    _, metrics = case.call(batch)
    jax.block_until_ready(pending)
    pending, count = metrics, count + 1
  jax.block_until_ready(pending)
  total = time.perf_counter() - begin
  mean = total / count
  return timing.Times(mean, mean, count), waited / total


def rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """Reading alone, the step alone, and the step on what is read."""
  count = config.train.batch_size
  batches = open_batches(config)
  per_batch = reading(batches, seconds)
  case = step_case(config)
  step = timing.time_calls(case.call, seconds)
  both, share = training_on_data(config, case, batches, seconds)
  ratio = step.median / per_batch
  read_times = timing.Times(per_batch, per_batch, 1)
  common = {"count": count, "batch_size": count}
  on_step = {"flops": case.flops, "devices": case.devices}
  return [
    timing.make_row(
      "data",
      "read",
      read_times,
      data_over_step=ratio,
      num_threads=config.data.num_threads,
      note=f"{ratio:.1f}x as many as the step takes",
      **common,
    ),
    timing.make_row(
      "data", "step", step, program=case.program, **common, **on_step
    ),
    timing.make_row(
      "data",
      "step on what is read",
      both,
      waiting_share=share,
      note=f"{share:.1%} of it waiting for data",
      **common,
      **on_step,
    ),
  ]
