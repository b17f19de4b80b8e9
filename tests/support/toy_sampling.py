# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small inputs of the sampler, and a denoiser that looks at all of them."""

import jax
import jax.numpy as jnp
import numpy as np

from threedim_jax.diffusion import equations
from threedim_jax.diffusion.sampler import (
  index_keys,
  make_bank,
  sample_view,
)
from threedim_jax.views import camera_paths
from threedim_jax.views.cameras import Camera
from threedim_jax.views.posed_views import PosedViews

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


def toy_sampler(monkeypatch, denoise_fn, size: int = HW):
  """A `Sampler` whose network is a `DenoiseFn` of the test."""
  from threedim_jax.runtime.sharding import make_local_mesh
  from threedim_jax.sampling import view_sampler

  bind = lambda model, params, prediction: denoise_fn
  monkeypatch.setattr(view_sampler, "bind_params", bind)
  no_model = lambda config, platform="cpu": None
  monkeypatch.setattr(view_sampler, "get_model", no_model)
  plain = lambda model, params, hw: lambda cam: cam
  monkeypatch.setattr(view_sampler, "get_camera_encoder", plain)
  mesh = make_local_mesh(-1, 1)
  params = {"w": jnp.zeros(3)}
  return view_sampler.Sampler(params, {}, "eps", size, mesh, name="toy")


def toy_scene(seed: int, num_views: int = 3, size: int = HW):
  """(given view, cameras to visit) with random pictures."""
  rng = np.random.default_rng(seed)
  poses = camera_paths.srn_spiral(1 + num_views, 2.0)
  K = np.tile(camera_paths.default_K(size), (1 + num_views, 1, 1))
  images_u8 = rng.integers(0, 256, (1 + num_views, size, size, 3), np.uint8)
  views = PosedViews(images_u8, poses, K, name=f"object_{seed}")
  return views[:1], views[1:].cameras()


def keys(batch_size: int, seed=0):
  return jax.random.split(jax.random.key(seed), batch_size)


def sample_orbit(denoise_fn, rngs, bank, target_cams, **options):
  """Views [B, N, H, W, 3] of N cameras, one after another in one program."""

  def step(bank, x):
    cam, index = x
    view = sample_view(
      denoise_fn, index_keys(rngs, index), bank, cam, **options
    )
    return bank.append(view, cam), view

  by_view = jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), target_cams)
  indices = jnp.arange(target_cams.K.shape[1])
  _, views = jax.lax.scan(step, bank, (by_view, indices))
  return jnp.moveaxis(views, 0, 1)


def toy_denoiser(z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask):
  """Depends on all its arguments, and not linearly."""
  per_example = (
    0.1 * logsnr
    + cond_cam.world_from_cam[:, 0, 3]
    - 2.0 * target_cam.world_from_cam[:, 0, 3]
    + jnp.where(cond_mask, 0.3, -0.4)
  )
  return jnp.sin(z_t + 0.7 * cond_view + equations.expand(per_example, z_t))
