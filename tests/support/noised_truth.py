# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adds noise to true views and samples on from there.

  python tests/support/noised_truth.py shapes64 W/evaluate  # or a workdir

W/evaluate holds the samples of an evaluation, with the true views beside them.
Sampling runs only the last steps of 32, from the given view, without guidance.
Where it starts at a high log-SNR, the noisy view still shows everything, and
the network only has to remove the noise. If the distance is large even then,
the network needs training at low noise. The last rows show what noise on the
true views alone does to the distance.
"""

import sys

import jax
import jax.numpy as jnp
from noise_mean import denoiser
import numpy as np

from threedim_jax.diffusion.equations import q_sample, x0_from_eps
from threedim_jax.diffusion.sampler import step_times
from threedim_jax.diffusion.solvers import ancestral
from threedim_jax.evaluation.distances import features
from threedim_jax.evaluation.distances.set_distances import frechet_distance
from threedim_jax.views.cameras import Camera
from threedim_jax.views.metrics import psnr
from threedim_jax.views.pixels import from_u8, to_u8
from threedim_jax.workdir import samples

NUM_STEPS = 32
LAST_STEPS = (4, 8, 16)
GREY_LEVELS = (3, 8)  # standard deviation of the noise in the last rows


def sample_from(denoise_fn, sampled, key, num_last: int) -> np.ndarray:
  """Views of one object, from noisy true ones, by the last `num_last` steps."""
  x0 = from_u8(sampled.truth.images_u8)
  n = len(x0)
  given = jnp.repeat(from_u8(sampled.given.images_u8[:1]), n, axis=0)
  cam = lambda views, i: Camera(views.world_from_cam[i], views.K[i])
  cams = cam(sampled.given, np.zeros(n, int)), cam(sampled.truth, np.arange(n))
  first = NUM_STEPS - num_last
  normal = lambda i: jax.random.normal(jax.random.fold_in(key, i), x0.shape)
  z = q_sample(x0, normal(NUM_STEPS), step_times(first, NUM_STEPS).logsnr_t)
  for i in range(first, NUM_STEPS):
    times = step_times(i, NUM_STEPS)
    logsnr, mask = jnp.full(n, times.logsnr_t), jnp.ones(n, bool)
    eps_hat = denoise_fn(z, logsnr, given, *cams, mask)
    x0_hat = jnp.clip(x0_from_eps(z, eps_hat, times.logsnr_t), -1.0, 1.0)
    z = ancestral(z, x0_hat, x0_hat, times, normal(i))
  return np.asarray(to_u8(z))


def main(source: str, folder: str) -> None:
  denoise_fn = jax.jit(denoiser(source))
  objects = [samples.read_sample(x) for x in samples.list_complete(folder)]
  truth = np.concatenate([x.truth.images_u8 for x in objects])
  networks = features.open_networks()
  extract = lambda x: features.extract_features(x, networks)["effnetlite0"]
  of_truth = extract(truth)

  def show(name, views):
    decibels = np.mean(psnr(views / 255, truth / 255))
    distance = frechet_distance(extract(views), of_truth)
    print(f"| {name} | {decibels:.2f} | {distance:.0f} |", flush=True)

  print("| noise | steps | PSNR | fd_effnetlite0 |\n| --- | --- | --- | --- |")
  for num_last in LAST_STEPS:
    logsnr = round(
      float(step_times(NUM_STEPS - num_last, NUM_STEPS).logsnr_t), 1
    )
    views = [
      sample_from(denoise_fn, x, jax.random.key(i), num_last)
      for i, x in enumerate(objects)
    ]
    show(f"log-SNR {logsnr or 0:g} | {num_last}", np.concatenate(views))
  rng = np.random.default_rng(0)
  for levels in GREY_LEVELS:
    noise = rng.normal(0.0, levels / 127.5, truth.shape)
    show(f"{levels} grey levels | 0", to_u8(from_u8(truth) + noise))


if __name__ == "__main__":
  main(*sys.argv[1:])
