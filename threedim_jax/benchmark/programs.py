# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The programs that are timed, with random weights and pictures.

They are the ones that training and sampling run. Pictures are already on the
device: waiting for data is a part of its own.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np

from threedim_jax.benchmark import timing
from threedim_jax.benchmark.timing import Program
from threedim_jax.diffusion.sampler import make_bank
from threedim_jax.models import make_init_fn
from threedim_jax.modes.aot.flops import count_flops
from threedim_jax.runtime.sharding import make_mesh, put_batch, replicated
from threedim_jax.sampling.load import make_denoiser, settings_of
from threedim_jax.sampling.view_sampler import make_view_fn
from threedim_jax.training.setup import make_setup
from threedim_jax.views import camera_paths
from threedim_jax.views.cameras import Camera
from threedim_jax.views.pair_batch import PairBatch
from threedim_jax.views.pixels import from_u8

RADIUS = 2.0  # distance of the random cameras from the object


class Case(NamedTuple):
  """A program to time.

  Attributes:
    name: of its row.
    program: compiled anew.
    call: runs it once.
    flops: of a call, of all devices together.
    devices: that it runs on.
  """

  name: str
  program: Program
  call: Callable[..., Any]
  flops: int
  devices: int


def random_images(
  rng: np.random.Generator, shape: Sequence[int], resolution: int
) -> np.ndarray:
  """uint8 [*shape, R, R, 3]."""
  size = (*shape, resolution, resolution, 3)
  return rng.integers(0, 256, size, dtype=np.uint8)


def random_cameras(
  rng: np.random.Generator, shape: Sequence[int], resolution: int
) -> Camera:
  """Cameras that look at the origin, [*shape, ...], float32."""
  poses = camera_paths.random_views(rng, int(np.prod(shape)), RADIUS)
  K = np.float32(camera_paths.default_K(resolution))
  return Camera(
    np.float32(poses).reshape(*shape, 4, 4),
    np.broadcast_to(K, (*shape, 3, 3)).copy(),
  )


def random_batch(resolution: int, batch_size: int) -> PairBatch:
  """A training batch in the host's memory."""
  rng, shape = np.random.default_rng(0), (batch_size,)
  images = lambda: random_images(rng, shape, resolution)
  camera = lambda: random_cameras(rng, shape, resolution)
  return PairBatch(images(), images(), camera(), camera())


def denoise_args(
  config: ConfigDict, batch_size: int, num_unconditional: int = 0
) -> tuple:
  """Arguments of a `DenoiseFn`; the last examples are unconditional."""
  rng, R = np.random.default_rng(0), config.data.resolution
  picture = lambda: jnp.float32(rng.standard_normal((batch_size, R, R, 3)))
  cam = lambda: jax.tree.map(jnp.asarray, random_cameras(rng, (batch_size,), R))
  logsnr = jnp.zeros((batch_size,))
  mask = jnp.arange(batch_size) < batch_size - num_unconditional
  return picture(), logsnr, picture(), cam(), cam(), mask


def sampler_args(config: ConfigDict, num_slots: int) -> tuple:
  """(keys, bank with one given view, target camera) of a batch of objects."""
  rng, R = np.random.default_rng(0), config.data.resolution
  B = config.sample.batch_size
  views = jnp.float32(from_u8(random_images(rng, (B, 1), R)))
  given, target = (
    jax.tree.map(jnp.asarray, random_cameras(rng, shape, R))
    for shape in ((B, 1), (B,))
  )
  rngs = jax.random.split(jax.random.key(0), B)
  return rngs, make_bank(views, given, num_slots), target


def random_params(config: ConfigDict):
  return jax.jit(make_init_fn(config))(jax.random.key(0))


def step_case(config: ConfigDict) -> Case:
  """A train step: `call(batch=None)`, by default on the same pictures."""
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
  return Case("step", program, call, flops, setup.mesh.size)


def forward_case(config: ConfigDict) -> Case:
  """A forward pass of `train.batch_size` examples over the mesh."""
  mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
  denoiser = make_denoiser(config)
  forward = lambda params, *args: denoiser(params)(*args)
  params = jax.device_put(random_params(config), replicated(mesh))
  args = put_batch(denoise_args(config, config.train.batch_size), mesh)
  program = timing.compile_program(jax.jit(forward), params, *args)
  flops = count_flops(forward, params, *args)
  call = lambda: program.compiled(params, *args)
  return Case("forward", program, call, flops, mesh.size)


def sampler_case(config: ConfigDict, num_sample_steps: int) -> Case:
  """One view of `sample.batch_size` objects in so many steps."""
  sampler = functools.partial(
    make_view_fn(config.model, config.diffusion.prediction),
    num_sample_steps=num_sample_steps,
    guidance_weight=config.sampler.guidance_weight,
    **settings_of(config).static_options(),
  )
  args = (
    random_params(config),
    *sampler_args(config, config.sample.num_views + 1),
  )
  program = timing.compile_program(jax.jit(sampler), *args)
  flops = count_flops(sampler, *args)
  call = lambda: program.compiled(*args)
  return Case(f"view, {num_sample_steps} steps", program, call, flops, 1)
