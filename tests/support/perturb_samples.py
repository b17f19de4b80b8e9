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
import colorsys
import dataclasses

from etils import epath
import numpy as np

from threedim_jax.workdir import samples as sample_io

HUE_SPREAD = 0.1  # standard deviation, of a full turn


def identical(images_u8: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  return np.broadcast_to(images_u8[:1], images_u8.shape).copy()


def shuffled(images_u8: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  return images_u8[rng.permutation(len(images_u8))]


def turn_hue(image_u8: np.ndarray, turn: float) -> np.ndarray:
  """Every pixel's hue moved by `turn`; greys stay."""
  colours, at = np.unique(image_u8.reshape(-1, 3), axis=0, return_inverse=True)
  turned = []
  for colour in colours / 255:
    h, s, v = colorsys.rgb_to_hsv(*colour)
    turned.append(colorsys.hsv_to_rgb((h + turn) % 1, s, v))
  turned_u8 = np.round(np.array(turned) * 255).astype(np.uint8)
  return turned_u8[at.ravel()].reshape(image_u8.shape)


def hue(images_u8: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  turns = rng.normal(0, HUE_SPREAD, len(images_u8))
  return np.stack(
    [turn_hue(i, t) for i, t in zip(images_u8, turns, strict=True)]
  )


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
