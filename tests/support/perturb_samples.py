# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes bad samples of true views, to see that a score calls them bad.

  python tests/support/perturb_samples.py SAMPLES OUT

For every finished folder of SAMPLES that knows the true views, OUT/truth holds
these as if they were generated, OUT/shuffled the same pictures at each other's
poses, OUT/identical the first of them at every pose, and OUT/hue each one in
colours of its own. Score them by --mode=score --samples=OUT/shuffled.
"""

import argparse
import dataclasses

from etils import epath
import jax.numpy as jnp
import numpy as np

from threedim_jax.training.hue import turn_hue
from threedim_jax.workdir import samples as sample_io

HUE_SPREAD = 0.1  # standard deviation, of a full turn


def identical(images_u8: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  return np.broadcast_to(images_u8[:1], images_u8.shape).copy()


def shuffled(images_u8: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  return images_u8[rng.permutation(len(images_u8))]


def hue(images_u8: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  turns = rng.normal(0, HUE_SPREAD, len(images_u8)) % 1
  return np.asarray(turn_hue(jnp.asarray(images_u8), jnp.float32(turns)))


KINDS = {
  "truth": lambda images_u8, rng: images_u8,
  "shuffled": shuffled,
  "identical": identical,
  "hue": hue,
}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("samples")
  parser.add_argument("out")
  args = parser.parse_args()
  for folder in sample_io.list_complete(args.samples):
    sampled = sample_io.read_sample(folder)
    if sampled.truth is None:
      continue
    for kind, perturb in KINDS.items():
      images_u8 = perturb(sampled.truth.images_u8, np.random.default_rng(0))
      bad = dataclasses.replace(
        sampled, generated=sampled.truth.with_images(images_u8), truth=None
      )
      print(sample_io.write_sample(epath.Path(args.out) / kind, bad))


if __name__ == "__main__":
  main()
