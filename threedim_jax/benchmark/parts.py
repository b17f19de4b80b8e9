# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures each part of the benchmark, such as training or sampling.

`PARTS` maps the name of each part to a function that measures the part and
returns rows of the table. The train step and the step of a field's fit are the
programs that training and scoring run. The timed sampler differs from the one
that sampling runs: its number of steps and its guidance weight are compile-time
constants, and it uses a single device. Weights, cameras and pictures are
random, except in the part "data". That part reads a data set, to measure how
long training waits for pictures.
"""

from collections.abc import Callable, Iterator, Sequence
import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import UInt8
from ml_collections import ConfigDict
import numpy as np

from threedim_jax.benchmark import timing
from threedim_jax.benchmark.timing import Program, Row, Times
from threedim_jax.diffusion.denoise import bind_params
from threedim_jax.diffusion.sampler import make_bank
from threedim_jax.evaluation.consistency import ConsistencyProtocol
from threedim_jax.evaluation.fields.field import FieldConfig
from threedim_jax.evaluation.fields.fit import fit_fields
from threedim_jax.inputs.pairs import train_iterator
from threedim_jax.inputs.view_source import open_split
from threedim_jax.models import get_model, make_init_fn
from threedim_jax.modes.aot.flops import count_flops
from threedim_jax.runtime.sharding import make_mesh, put_batch, replicated
from threedim_jax.sampling.load import settings_of
from threedim_jax.sampling.view_sampler import make_view_fn
from threedim_jax.training.setup import make_setup
from threedim_jax.training.train_step import num_microbatches
from threedim_jax.views import camera_paths
from threedim_jax.views.cameras import Camera
from threedim_jax.views.pair_batch import PairBatch
from threedim_jax.views.pixels import from_u8

FEW_STEPS, MORE_STEPS = 4, 16  # denoising steps of the two timed runs
FIELD_VIEWS, FIELD_STEPS = 12, 60  # of the field fit that is timed
RADIUS = 2.0  # distance of the random cameras from the object


class Case(NamedTuple):
  """A compiled program to time, with a function that runs the program.

  Attributes:
    program: the program, compiled afresh instead of read from a cache.
    call: function that runs the program once.
    flops: floating-point operations of one call, summed over all devices.
    devices: number of devices that the program runs on.
  """

  program: Program
  call: Callable[..., Any]
  flops: int
  devices: int


def random_images(
  rng: np.random.Generator, shape: Sequence[int], resolution: int
) -> UInt8[np.ndarray, "*shape R R 3"]:
  """Makes pictures of uniform noise, `resolution` pixels high and wide.

  `shape` gives the leading axes of the result.
  """
  size = (*shape, resolution, resolution, 3)
  return rng.integers(0, 256, size, dtype=np.uint8)


def random_cameras(
  rng: np.random.Generator, shape: Sequence[int], resolution: int
) -> Camera:
  """Makes random float32 cameras that look at the origin.

  Args:
    rng: generator of the camera positions.
    shape: leading axes of `world_from_cam` and `K`.
    resolution: height and width, in pixels, of the pictures that `K` is for.
  """
  poses = camera_paths.random_views(rng, int(np.prod(shape)), RADIUS)
  K = np.float32(camera_paths.default_K(resolution))
  return Camera(
    np.float32(poses).reshape(*shape, 4, 4),
    np.broadcast_to(K, (*shape, 3, 3)).copy(),
  )


def random_batch(resolution: int, batch_size: int) -> PairBatch:
  """Makes a random training batch as NumPy arrays."""
  rng, shape = np.random.default_rng(0), (batch_size,)
  images = [random_images(rng, shape, resolution) for _ in range(2)]
  cameras = [random_cameras(rng, shape, resolution) for _ in range(2)]
  return PairBatch(*images, *cameras)


def denoise_args(config: ConfigDict, batch_size: int) -> tuple:
  """Makes random arguments for one call of a denoising function (`DenoiseFn`).

  `cond_mask` is True everywhere: each of the `batch_size` examples is
  conditioned on a view.
  """
  rng, R = np.random.default_rng(0), config.data.resolution
  noise = jnp.float32(rng.standard_normal((2, batch_size, R, R, 3)))
  cams = [
    jax.tree.map(jnp.asarray, random_cameras(rng, (batch_size,), R))
    for _ in range(2)
  ]
  mask = jnp.ones(batch_size, bool)
  return noise[0], jnp.zeros(batch_size), noise[1], *cams, mask


def random_params(config: ConfigDict):
  return jax.jit(make_init_fn(config))(jax.random.key(0))


def step_case(config: ConfigDict) -> Case:
  """Compiles a train step, and creates a train state for it.

  Each call of the result's `call(batch)` trains this state for one step.
  `call()` without a batch always uses the same random batch.
  """
  setup = make_setup(config, make_mesh(config.mesh.data, config.mesh.fsdp))
  rng = jax.device_put(jax.random.key(1), replicated(setup.mesh))
  with jax.set_mesh(setup.mesh):
    program = timing.compile_program(
      setup.train_step, setup.shapes, setup.batch, rng
    )
  create = jax.jit(setup.create_state, out_shardings=setup.shardings)
  state = create(jax.random.key(0))
  batch = random_batch(config.data.resolution, config.train.batch_size)
  same = put_batch(batch, setup.mesh)

  def call(batch: PairBatch | None = None):
    nonlocal state
    state, metrics = program.compiled(state, batch or same, rng)
    return state, metrics

  flops = count_flops(setup.train_step, setup.shapes, setup.batch, rng)
  return Case(program, call, flops, setup.mesh.size)


def forward_case(config: ConfigDict) -> Case:
  """Compiles a forward pass of `train.batch_size` examples on all devices.

  Raises:
    UserError: a train step cannot split the batch evenly over the devices.
  """
  mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
  batch_size = config.train.batch_size
  # Called for its check; a forward pass has no micro-batches.
  num_microbatches(batch_size, config.train.per_device_batch_size, mesh.size)
  model = get_model(config.model, jax.default_backend())

  def forward(params, *args):
    return bind_params(model, params, config.diffusion.prediction)(*args)

  batch = denoise_args(config, batch_size)
  params = jax.device_put(random_params(config), replicated(mesh))
  args = params, *put_batch(batch, mesh)
  program = timing.compile_program(jax.jit(forward), *args)
  call = functools.partial(program.compiled, *args)
  return Case(program, call, count_flops(forward, *args), mesh.size)


def sampler_case(config: ConfigDict, num_sample_steps: int) -> Case:
  """Compiles the sampler for a batch of `sample.batch_size` objects.

  One call generates one view of each object.
  """
  sampler = functools.partial(
    make_view_fn(
      get_model(config.model, jax.default_backend()),
      config.diffusion.prediction,
    ),
    num_sample_steps=num_sample_steps,
    guidance_weight=config.sampler.guidance_weight,
    **settings_of(config).static_options(),
  )
  rng, R = np.random.default_rng(0), config.data.resolution
  B = config.sample.batch_size
  views = jnp.float32(from_u8(random_images(rng, (B, 1), R)))
  given, target = (
    jax.tree.map(jnp.asarray, random_cameras(rng, shape, R))
    for shape in ((B, 1), (B,))
  )
  args = (
    random_params(config),
    jax.random.split(jax.random.key(0), B),
    make_bank(views, given, config.sample.num_views + 1),
    target,
  )
  program = timing.compile_program(jax.jit(sampler), *args)
  call = functools.partial(program.compiled, *args)
  return Case(program, call, count_flops(sampler, *args), 1)


def train_rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """Times a forward pass and a train step of `train.batch_size` examples."""
  rows = []
  # One case after the other, so that only one is in memory at a time.
  for name, make_case in (("forward", forward_case), ("step", step_case)):
    case = make_case(config)
    (times,) = timing.time_in_turns([case.call], seconds)
    row = timing.make_row(
      "train",
      name,
      times,
      count=config.train.batch_size,
      flops=case.flops,
      program=case.program,
      devices=case.devices,
    )
    rows.append(row)
  return rows


def sample_rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """Times a denoising step, and extrapolates the time to generate a whole view.

  The sampler is timed with `FEW_STEPS` and with `MORE_STEPS` denoising steps.
  The difference in time, divided by the difference in steps, is the time of one
  step, because work that happens once per view cancels out. The time of a whole
  view is the time measured with `FEW_STEPS`, plus that of the remaining steps.
  """
  few, more = (sampler_case(config, n) for n in (FEW_STEPS, MORE_STEPS))
  few_times, more_times = timing.time_in_turns([few.call, more.call], seconds)
  extra, B = MORE_STEPS - FEW_STEPS, config.sample.batch_size
  # With a tiny network, noise can make the run with more steps the faster.
  median, fastest = (
    max((b - a) / extra, 1e-9)
    for a, b in zip(few_times[:2], more_times[:2], strict=True)
  )
  repeats = min(few_times.repeats, more_times.repeats)
  step = Times(median, min(median, fastest), repeats)
  step_row = timing.make_row(
    "sample",
    "denoising step",
    step,
    count=2 * B if config.sampler.guidance_weight else B,
    flops=(more.flops - few.flops) // extra,
    program=more.program,
  )
  num_steps = config.sampler.num_sample_steps
  median, fastest = (
    max(of_few + (num_steps - FEW_STEPS) * of_step, of_step)
    for of_few, of_step in zip(few_times[:2], step[:2], strict=True)
  )
  view_row = timing.make_row(
    "sample",
    f"view, {num_steps} steps",
    Times(median, min(median, fastest), few_times.repeats),
    count=B,
    unit="views/s",
    extrapolated=True,
    seconds_per_view=median / B,
    note=f"extrapolated from {FEW_STEPS} and {MORE_STEPS} steps",
  )
  return [step_row, view_row]


def open_batches(config: ConfigDict) -> Iterator[PairBatch]:
  """Returns an iterator over training batches of the configured data set.

  Raises:
    UserError: there is no data set.
  """
  return train_iterator(
    open_split(config, "train"),
    global_batch_size=config.train.batch_size,
    seed=config.seed,
    num_threads=config.data.num_threads,
  )


def data_rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """Times reading batches alone, then reading batches and training on them.

  Readers work ahead, so the time of a single batch means nothing. Each row
  therefore gives the mean over many batches, in place of both the median and
  the fastest time.
  """
  batches, case = open_batches(config), step_case(config)
  mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
  pending, waits = None, []

  def step() -> None:
    """Starts a train step, then waits until the previous step ends."""
    nonlocal pending
    start = time.perf_counter()
    batch = put_batch(next(batches), mesh)
    waits.append(time.perf_counter() - start)
    _, metrics = case.call(batch)
    jax.block_until_ready(pending)
    pending = metrics

  # The warm-up reads more batches than the readers keep ready.
  read_times = mean_time(lambda: next(batches), seconds, warm_up=10)
  step_times = mean_time(
    step, seconds, warm_up=1, finish=lambda: jax.block_until_ready(pending)
  )
  share = float(np.mean(waits[1:])) / step_times.median
  count = config.train.batch_size
  read_row = timing.make_row(
    "data",
    "read",
    read_times,
    count=count,
    note=f"with {config.data.num_threads} threads",
  )
  step_row = timing.make_row(
    "data",
    "step on what is read",
    step_times,
    count=count,
    flops=case.flops,
    devices=case.devices,
    waiting_share=share,
    note=f"{share:.1%} of it waiting for data",
  )
  return [read_row, step_row]


def mean_time(
  fn: Callable[[], Any],
  seconds: float | int,
  *,
  warm_up: int,
  finish: Callable[[], Any] = lambda: None,
) -> Times:
  """Returns the mean time of a call of `fn`, in seconds.

  Single calls are not timed, so the mean fills both `median` and `fastest` of
  the result.

  Args:
    fn: the function to time.
    seconds: how long to repeat `fn`, in seconds; `fn` is called at least
      `timing.MIN_REPEATS` times.
    warm_up: number of calls before the clock starts.
    finish: function that waits for work that `fn` started. It is called before
      the clock starts, and again before the clock stops.
  """
  for _ in range(warm_up):
    fn()
  finish()
  count, start = 0, time.perf_counter()
  while count < timing.MIN_REPEATS or time.perf_counter() - start < seconds:
    fn()
    count += 1
  finish()
  mean = (time.perf_counter() - start) / count
  return Times(mean, mean, count)


def score_rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """Times a step of fitting a neural field to one object's views.

  The score of 3D consistency fits such a field to each object. The time is the
  median over a fixed number of steps, so `seconds` is ignored.
  """
  del seconds
  rng, R = np.random.default_rng(0), config.data.resolution
  images = random_images(rng, (1, FIELD_VIEWS), R)
  cameras = random_cameras(rng, (1, FIELD_VIEWS), R)
  ends, counts = [], []

  def on_steps(count: int) -> None:
    ends.append(time.perf_counter())
    counts.append(count)

  fit_fields(
    images,
    cameras.world_from_cam,
    cameras.K,
    config=FieldConfig.for_size(R),
    num_steps=FIELD_STEPS,
    rng=jax.random.key(0),
    on_steps=on_steps,
  )
  # The first steps are left out: they include compilation.
  step = timing.summary(list(np.diff(ends) / counts[1:]))
  whole = ConsistencyProtocol().num_steps
  note = f"{step.median * whole:.1f} s an object at {whole} steps, extrapolated"
  return [
    timing.make_row("score", "field step", step, unit="steps/s", note=note)
  ]


def compile_rows(config: ConfigDict, seconds: float | int) -> list[Row]:
  """Times compiling the initialisation, the train step and the sampler.

  Each program is compiled once, so `seconds` is ignored.
  """
  del seconds
  init = timing.compile_program(
    jax.jit(make_init_fn(config)), jax.random.key(0)
  )
  programs = {
    "init": init,
    "train step": step_case(config).program,
    "sampler": sampler_case(config, config.sampler.num_sample_steps).program,
  }
  rows = []
  for name, program in programs.items():
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
