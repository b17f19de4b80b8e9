# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Made-up inputs: random pictures, and cameras that look at the origin."""

from collections.abc import Sequence

import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np

from threedim_jax.views import camera_paths
from threedim_jax.views.cameras import Camera
from threedim_jax.views.pair_batch import PairBatch
from threedim_jax.views.pixels import from_u8

RADIUS = 2.0  # of the cameras from the object


def random_images(
  rng: np.random.Generator, shape: Sequence[int], resolution: int
) -> np.ndarray:
  """uint8 [*shape, R, R, 3]."""
  size = (*shape, resolution, resolution, 3)
  return rng.integers(0, 256, size, dtype=np.uint8)


def random_cameras(
  rng: np.random.Generator, shape: Sequence[int], resolution: int
) -> tuple[np.ndarray, np.ndarray]:
  """(world_from_cam [*shape, 4, 4], K [*shape, 3, 3]), float32."""
  poses = camera_paths.random_views(rng, int(np.prod(shape)), RADIUS)
  K = np.float32(camera_paths.default_K(resolution))
  return (
    np.float32(poses).reshape(*shape, 4, 4),
    np.broadcast_to(K, (*shape, 3, 3)).copy(),
  )


def random_batch(resolution: int, batch_size: int) -> PairBatch:
  """A training batch in the host's memory."""
  rng, shape = np.random.default_rng(0), (batch_size,)
  images = lambda: random_images(rng, shape, resolution)
  camera = lambda: Camera(*random_cameras(rng, shape, resolution))
  return PairBatch(images(), images(), camera(), camera())


def denoise_args(
  config: ConfigDict, batch_size: int, num_unconditional: int = 0
) -> tuple:
  """Arguments of a `DenoiseFn`; the last examples are unconditional."""
  rng, R = np.random.default_rng(0), config.data.resolution
  picture = lambda: jnp.float32(rng.standard_normal((batch_size, R, R, 3)))
  cam = lambda: Camera(*map(jnp.asarray, random_cameras(rng, (batch_size,), R)))
  logsnr = jnp.zeros((batch_size,))
  mask = jnp.arange(batch_size) < batch_size - num_unconditional
  return picture(), logsnr, picture(), cam(), cam(), mask


def random_views(config: ConfigDict, num_objects: int) -> tuple:
  """(views [B, 1, R, R, 3] in [-1, 1], cameras [B, 1], target camera [B])."""
  rng, R = np.random.default_rng(0), config.data.resolution
  views = from_u8(random_images(rng, (num_objects, 1), R))
  cam = lambda *shape: Camera(*map(jnp.asarray, random_cameras(rng, shape, R)))
  return jnp.float32(views), cam(num_objects, 1), cam(num_objects)
