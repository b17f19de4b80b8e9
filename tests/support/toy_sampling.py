# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small inputs of the sampler, and a denoiser that looks at all of them."""

import jax
import jax.numpy as jnp
import numpy as np

from threedim_jax.diffusion import equations
from threedim_jax.diffusion.sampler import make_bank
from threedim_jax.views.cameras import Camera

HW = 4


def cameras(*leading) -> Camera:
  """Cameras that differ in their x position."""
  num = int(np.prod(leading))
  pose = np.tile(np.eye(4, dtype=np.float32), (num, 1, 1))
  pose[:, 0, 3] = np.linspace(-1.0, 1.0, num)
  K = np.tile(np.diag([HW, HW, 1.0]).astype(np.float32), (num, 1, 1))
  return Camera(
    jnp.asarray(pose.reshape(*leading, 4, 4)),
    jnp.asarray(K.reshape(*leading, 3, 3)),
  )


def random_bank(batch_size: int, num_given: int, capacity: int, seed=0):
  rng = np.random.default_rng(seed)
  views = rng.uniform(-1.0, 1.0, (batch_size, num_given, HW, HW, 3))
  return make_bank(jnp.float32(views), cameras(batch_size, num_given), capacity)


def keys(batch_size: int, seed=0):
  return jax.random.split(jax.random.key(seed), batch_size)


def toy_denoiser(z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask):
  """Depends on all its arguments, and not linearly."""
  per_example = (
    0.1 * logsnr
    + cond_cam.world_from_cam[:, 0, 3]
    - 2.0 * target_cam.world_from_cam[:, 0, 3]
    + jnp.where(cond_mask, 0.3, -0.4)
  )
  return jnp.sin(z_t + 0.7 * cond_view + equations.expand(per_example, z_t))
