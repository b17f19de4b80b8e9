# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is measured: every function here gives the rows of one part."""

from collections.abc import Iterator
import time

import jax
from ml_collections import ConfigDict
import numpy as np

from threedim_jax.benchmark import timing
from threedim_jax.benchmark.programs import (
  Case,
  forward_case,
  random_cameras,
  random_images,
  sampler_case,
  step_case,
)
from threedim_jax.benchmark.timing import Row, Times
from threedim_jax.evaluation.consistency import ConsistencyProtocol
from threedim_jax.evaluation.fields.field import FieldConfig
from threedim_jax.evaluation.fields.fit import fit_fields
from threedim_jax.inputs.pairs import train_iterator
from threedim_jax.inputs.view_source import open_split
from threedim_jax.models import make_init_fn
from threedim_jax.runtime.sharding import make_mesh, put_batch
from threedim_jax.views.pair_batch import PairBatch

FEW_STEPS, MORE_STEPS = 4, 16  # of the sampler
FIELD_VIEWS, FIELD_STEPS = 12, 60


def train_rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """A forward pass and a step of `train.batch_size` examples."""
  rows = []
  for make_case in (forward_case, step_case):  # one in memory at a time
    case = make_case(config)
    times = timing.time_calls(case.call, seconds)
    rows.append(
      timing.make_row(
        "train",
        case.name,
        times,
        count=config.train.batch_size,
        flops=case.flops,
        program=case.program,
        devices=case.devices,
      )
    )
  return rows


def sample_rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """A denoising step, and from it a view.

  The cost of a step is the slope between two short samplings, without what
  happens once per view. The time of a whole view is extrapolated from both.
  """
  few, more = (sampler_case(config, n) for n in (FEW_STEPS, MORE_STEPS))
  few_times, more_times = timing.time_in_turns([few.call, more.call], seconds)
  step = slope(few_times, more_times)
  flops = (more.flops - few.flops) // (MORE_STEPS - FEW_STEPS)
  B = config.sample.batch_size
  step_row = timing.make_row(
    "sample",
    "denoising step",
    step,
    count=2 * B if config.sampler.guidance_weight else B,
    flops=flops,
    program=more.program,
  )
  return [step_row, view_row(config, few_times, step)]


def slope(few: Times, more: Times) -> Times:
  """Times of one of the steps that `more` has more than `few`."""
  steps = MORE_STEPS - FEW_STEPS
  # Noise can turn the order of tiny programs around.
  per_step = lambda a, b: max((b - a) / steps, 1e-9)
  median = per_step(few.median, more.median)
  fastest = min(median, per_step(few.fastest, more.fastest))
  return Times(median, fastest, min(few.repeats, more.repeats))


def view_row(config: ConfigDict, few: Times, step: Times) -> Row:
  """Seconds of a batch of views at the configuration's number of steps."""
  num_steps, B = config.sampler.num_sample_steps, config.sample.batch_size
  extra = num_steps - FEW_STEPS
  median = max(few.median + extra * step.median, step.median)
  fastest = max(few.fastest + extra * step.fastest, step.fastest)
  times = Times(median, min(median, fastest), few.repeats)
  return timing.make_row(
    "sample",
    f"view, {num_steps} steps",
    times,
    count=B,
    unit="views/s",
    extrapolated=True,
    seconds_per_view=times.median / B,
    note=f"extrapolated from {FEW_STEPS} and {MORE_STEPS} steps",
  )


def open_batches(config: ConfigDict) -> Iterator[PairBatch]:
  """Batches as training reads them; UserError if there is no data set."""
  return train_iterator(
    open_split(config, "train"),
    global_batch_size=config.train.batch_size,
    seed=config.seed,
    num_threads=config.data.num_threads,
  )


def data_rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """Reading alone, and the train step on what is read."""
  batches, case = open_batches(config), step_case(config)
  per_batch = seconds_per_batch(batches, seconds)
  both, share = train_on_data(config, case, batches, seconds)
  count = config.train.batch_size
  read = timing.make_row(
    "data",
    "read",
    Times(per_batch, per_batch, 1),
    count=count,
    note=f"with {config.data.num_threads} threads",
  )
  step = timing.make_row(
    "data",
    "step on what is read",
    both,
    count=count,
    flops=case.flops,
    devices=case.devices,
    waiting_share=share,
    note=f"{share:.1%} of it waiting for data",
  )
  return [read, step]


def seconds_per_batch(
  batches: Iterator[PairBatch], seconds: float | int
) -> float:
  """The mean over many batches: readers work ahead, so single ones mislead."""
  for _ in range(10):  # more than are kept ready
    next(batches)
  count, start = 0, time.perf_counter()
  while count < timing.MIN_REPEATS or time.perf_counter() - start < seconds:
    next(batches)
    count += 1
  return (time.perf_counter() - start) / count


def train_on_data(
  config: ConfigDict,
  case: Case,
  batches: Iterator[PairBatch],
  seconds: float | int,
) -> tuple[Times, float]:
  """(seconds of a step with its data, share of them spent waiting for it).

  As in training, a step is started and then the one before is waited for. So
  single steps cannot be timed: the mean is both median and fastest.
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
  return Times(total / count, total / count, count), waited / total


def score_rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """A step of fitting a consistency field; the number of steps is fixed."""
  del seconds
  rng, R = np.random.default_rng(0), config.data.resolution
  images = random_images(rng, (1, FIELD_VIEWS), R)
  cameras = random_cameras(rng, (1, FIELD_VIEWS), R)
  times, last = [], None

  def on_steps(count: int) -> None:
    nonlocal last
    now = time.perf_counter()
    if last is not None:  # the first report includes compilation
      times.append((now - last) / count)
    last = now

  fit_fields(
    images,
    cameras.world_from_cam,
    cameras.K,
    config=FieldConfig.for_size(R),
    num_steps=FIELD_STEPS,
    rng=jax.random.key(0),
    on_steps=on_steps,
  )
  whole, step = ConsistencyProtocol().num_steps, timing.summary(times)
  note = f"{step.median * whole:.1f} s an object at {whole} steps, extrapolated"
  return [
    timing.make_row("score", "field step", step, unit="steps/s", note=note)
  ]


def compile_rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """Initialisation, train step, and the sampler of one view; each once."""
  del seconds
  init = timing.compile_program(
    jax.jit(make_init_fn(config)), jax.random.key(0)
  )
  cases = {
    "init": init,
    "train step": step_case(config).program,
    "sampler": sampler_case(config, config.sampler.num_sample_steps).program,
  }
  rows = []
  for name, program in cases.items():
    total = program.lower_seconds + program.compile_seconds
    times = Times(total, total, 1)
    rows.append(timing.make_row("compile", name, times, program=program))
  return rows


PARTS = {
  "train": train_rows,
  "sample": sample_rows,
  "data": data_rows,
  "score": score_rows,
  "compile": compile_rows,
}
