# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How much of the noise's mean a network takes for the colour of a view.

  python tests/support/noise_mean.py shapes32 32  # or a workdir

The mean over the white background of x0_hat - x0, regressed on that of the
noise. Zero is right: the background is always white. A network whose v_hat
does not see the mean of z_t at all has alpha sigma, 0.5 at a log-SNR of 0, and
its samples have tinted backgrounds.
"""

import sys

from etils import epath
import jax
import jax.numpy as jnp
import numpy as np

from threedim_jax.diffusion.denoise import bind_params
from threedim_jax.diffusion.equations import alpha_sigma, q_sample, x0_from_eps
from threedim_jax.inputs.view_source import open_views
from threedim_jax.models import get_model
from threedim_jax.sampling.load import load_sampler
from threedim_jax.views.cameras import Camera
from threedim_jax.views.pixels import from_u8
from threedim_jax.workdir.checkpoints.checkpointer import read_params

LOGSNRS = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0)
NUM_OBJECTS, NUM_DRAWS = 16, 6


def denoiser(source: str):
  """The network of bundled weights or of a workdir, as a `DenoiseFn`."""
  if epath.Path(source).is_dir():
    params, config = read_params(source)
  else:
    sampler = load_sampler(source)
    params, config = sampler.params, sampler.trained_config
  model = get_model(config["model"])
  return bind_params(model, params, config["diffusion"]["prediction"])


def held_out_views(data_config: str):
  """Given and asked-for views of held-out objects, in [-1, 1], and cameras."""
  views = open_views(
    None, "shapes", data_config, "test", resolution=int(data_config)
  )
  pairs = [
    views.object(object_id, (64, 100 + 3 * i))
    for i, object_id in enumerate(views.object_ids[:NUM_OBJECTS])
  ]
  stack = lambda key: np.stack([getattr(pair, key) for pair in pairs])
  images = jnp.asarray(from_u8(stack("images_u8")))
  cam = lambda i: Camera(stack("world_from_cam")[:, i], stack("K")[:, i])
  return (images[:, 0], cam(0)), (images[:, 1], cam(1))


def slope(denoise_fn, given, wanted, logsnr: float) -> float:
  (cond_view, cond_cam), (x0, target_cam) = given, wanted
  logsnrs = jnp.full(len(x0), logsnr)
  background = np.asarray(jnp.all(x0 == 1.0, axis=-1, keepdims=True))
  mean = lambda a: np.mean(a, axis=(1, 2), where=background).ravel()
  errors, noises = [], []
  for seed in range(NUM_DRAWS):
    eps = jax.random.normal(jax.random.key(seed), x0.shape)
    z_t = q_sample(x0, eps, logsnr)
    eps_hat = denoise_fn(
      z_t, logsnrs, cond_view, cond_cam, target_cam, jnp.ones(len(x0), bool)
    )
    errors.append(mean(np.asarray(x0_from_eps(z_t, eps_hat, logsnr) - x0)))
    noises.append(mean(np.asarray(eps)))
  return float(np.polyfit(np.concatenate(noises), np.concatenate(errors), 1)[0])


def main(source: str, data_config: str) -> None:
  denoise_fn = jax.jit(denoiser(source))
  given, wanted = held_out_views(data_config)
  print("| log-SNR | slope | blind |\n| --- | --- | --- |")
  for logsnr in LOGSNRS:
    alpha, sigma = alpha_sigma(logsnr)
    blind = float(alpha * sigma)
    got = slope(denoise_fn, given, wanted, logsnr)
    print(f"| {logsnr:g} | {got:.3f} | {blind:.3f} |")


if __name__ == "__main__":
  main(*sys.argv[1:])
