# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Seconds to fit a consistency field, of which scoring an object is made."""

import time

import jax
from ml_collections import ConfigDict
import numpy as np

from threedim_jax.benchmark import timing
from threedim_jax.benchmark.inputs import random_cameras, random_images
from threedim_jax.benchmark.timing import Row, Times
from threedim_jax.evaluation.consistency import ConsistencyProtocol
from threedim_jax.evaluation.fields.field import FieldConfig
from threedim_jax.evaluation.fields.fit import fit_fields

NUM_VIEWS = 12  # a step's cost does not depend on it
NUM_STEPS = 60  # the first of them compile


def step_times(resolution: int, num_objects: int, num_steps: int) -> Times:
  """Seconds of a step; those of the first report, which compiles, left out."""
  rng, shape = np.random.default_rng(0), (num_objects, NUM_VIEWS)
  times, last = [], None

  def on_steps(count: int) -> None:
    nonlocal last
    now = time.perf_counter()
    if last is not None:
      times.append((now - last) / count)
    last = now

  fit_fields(
    random_images(rng, shape, resolution),
    *random_cameras(rng, shape, resolution),
    config=FieldConfig.for_size(resolution),
    num_steps=num_steps,
    rng=jax.random.key(0),
    on_steps=on_steps,
  )
  return timing.summary(times)


def fit_row(config: ConfigDict, num_objects: int, num_steps: int) -> Row:
  times = step_times(config.data.resolution, num_objects, num_steps)
  whole = ConsistencyProtocol().num_steps
  seconds = times.median * whole / num_objects
  return timing.make_row(
    "score",
    f"field step, {num_objects} object{'s' * (num_objects > 1)}",
    times,
    count=num_objects,
    unit="object-steps/s",
    num_objects=num_objects,
    seconds_per_object=seconds,
    note=f"{seconds:.1f} s an object at {whole} steps, extrapolated",
  )


def rows(
  config: ConfigDict, seconds: float | int, num_steps: int = NUM_STEPS
) -> list[Row]:
  """One object and two; the number of steps is fixed, not the time."""
  del seconds
  return [fit_row(config, n, num_steps) for n in (1, 2)]
