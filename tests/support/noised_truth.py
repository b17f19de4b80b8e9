# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adds noise to true views and samples on from there.

  python tests/support/noised_truth.py shapes64 W/evaluate  # or a workdir

W/evaluate holds the samples of an evaluation, with the true views beside them.
Where sampling starts at a high log-SNR, the noisy view still shows everything,
and the network only has to remove the noise. If the distance is large even
then, training at low noise is what the network needs. The last step is at a
log-SNR of 8. All steps look at the given view, without guidance.
"""

import math
import sys

import jax
import jax.numpy as jnp
from noise_mean import denoiser
import numpy as np

from threedim_jax.diffusion.equations import (
  q_posterior,
  q_sample,
  x0_from_eps,
)
from threedim_jax.evaluation.distances import features
from threedim_jax.evaluation.distances.set_distances import frechet_distance
from threedim_jax.views.cameras import Camera
from threedim_jax.views.pixels import from_u8
from threedim_jax.workdir import samples

STARTS = {4.0: 4, 2.0: 6, 0.0: 8}  # log-SNR: steps
LAST_LOGSNR = 8.0


def step_logsnrs(start: float, num_steps: int) -> list[float]:
  """Log-SNRs at equal distances in the time of the cosine schedule."""
  first, last = (math.atan(math.exp(-x / 2)) for x in (start, LAST_LOGSNR))
  return [
    -2 * math.log(math.tan(t)) for t in np.linspace(first, last, num_steps)
  ]


def sample_from(denoise_fn, sampled, key, logsnrs: list[float]) -> np.ndarray:
  """The views of one object, from the truth with noise of `logsnrs[0]`."""
  x0 = from_u8(sampled.truth.images_u8)
  n = len(x0)
  given = jnp.repeat(from_u8(sampled.given.images_u8[:1]), n, axis=0)
  cam = lambda views, i: Camera(views.world_from_cam[i], views.K[i])
  given_cam, target_cam = (
    cam(sampled.given, np.zeros(n, int)),
    cam(sampled.truth, np.arange(n)),
  )
  normal = lambda i: jax.random.normal(jax.random.fold_in(key, i), x0.shape)
  z = q_sample(x0, normal(0), jnp.float32(logsnrs[0]))
  for i, logsnr in enumerate(logsnrs):
    eps_hat = denoise_fn(
      z, jnp.full(n, logsnr), given, given_cam, target_cam, jnp.ones(n, bool)
    )
    x0_hat = jnp.clip(x0_from_eps(z, eps_hat, jnp.float32(logsnr)), -1, 1)
    if i + 1 < len(logsnrs):
      ends = jnp.float32(logsnr), jnp.float32(logsnrs[i + 1])
      mean, variance = q_posterior(z, x0_hat, *ends)
      z = mean + jnp.sqrt(variance) * normal(i + 1)
  return np.uint8(np.round((np.asarray(x0_hat) + 1) * 127.5))


def main(source: str, folder: str) -> None:
  denoise_fn = jax.jit(denoiser(source))
  objects = [samples.read_sample(x) for x in samples.list_complete(folder)]
  truth = np.concatenate([x.truth.images_u8 for x in objects])
  networks = features.open_networks()
  extract = lambda x: features.extract_features(x, networks)["effnetlite0"]
  of_truth = extract(truth)
  print(
    "| log-SNR | steps | PSNR | fd_effnetlite0 |\n| --- | --- | --- | --- |"
  )
  for start, num_steps in STARTS.items():
    views = np.concatenate(
      [
        sample_from(
          denoise_fn, x, jax.random.key(i), step_logsnrs(start, num_steps)
        )
        for i, x in enumerate(objects)
      ]
    )
    mse = np.square(np.float32(views) - truth).mean((1, 2, 3))
    psnr = np.mean(10 * np.log10(255**2 / mse))
    distance = frechet_distance(extract(views), of_truth)
    print(f"| {start:g} | {num_steps} | {psnr:.2f} | {distance:.0f} |")


if __name__ == "__main__":
  main(*sys.argv[1:])
