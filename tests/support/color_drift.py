# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How far colours drift along an orbit, to choose what the demo opens with.

  python tests/support/color_drift.py --weights=shapes64 --out=DIR [--steps=32]

Samples an orbit of every example of the demo with several settings and prints
the largest distance of a view's mean foreground colour from the given view's,
in levels of 255. The pictures go to DIR.
"""

import argparse
import itertools
import pathlib
import time

import numpy as np

from threedim_jax.demo.page import read_examples
from threedim_jax.sampling.generate import object_keys
from threedim_jax.sampling.load import Settings, load_sampler
from threedim_jax.sampling.photo import Photo, photo_scene
from threedim_jax.views.image_grid import image_grid, write_png
from threedim_jax.views.metrics import is_foreground
from threedim_jax.views.pixels import to_u8


def mean_color(image_u8) -> np.ndarray:
  (shown,) = is_foreground(image_u8[None] / np.float32(255))
  return image_u8[shown].mean(axis=0) if shown.any() else np.full(3, 255.0)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--weights", default="shapes64")
  parser.add_argument("--out", type=pathlib.Path, required=True)
  parser.add_argument("--steps", type=int, default=32)
  parser.add_argument("--views", type=int, default=12)
  parser.add_argument("--guidance", type=float, nargs="+", default=[0.0, 0.5])
  parser.add_argument("--examples", type=int, default=4)
  args = parser.parse_args()
  args.out.mkdir(parents=True, exist_ok=True)
  sampler = load_sampler(args.weights)
  scenes = [
    photo_scene(Photo(*example), sampler.resolution, args.views)
    for example in (
      (file, elevation, azimuth, distance)
      for file, azimuth, elevation, distance in read_examples()
    )
  ][: args.examples]
  keys = object_keys(0, [scene.given.name for scene in scenes])
  for weight, conditioning in itertools.product(
    args.guidance, ("first", "stochastic")
  ):
    settings = Settings(
      num_sample_steps=args.steps,
      guidance_weight=weight,
      conditioning=conditioning,
    )
    sampling = sampler.batch(
      [s.given for s in scenes], [s.targets for s in scenes], keys, settings
    )
    start = time.monotonic()
    views = to_u8(np.stack([*sampling], axis=1))
    seconds = (time.monotonic() - start) / args.views / len(scenes)
    drifts = []
    for scene, images_u8 in zip(scenes, views, strict=True):
      given = mean_color(scene.given.images_u8[0])
      colors = np.stack([mean_color(image_u8) for image_u8 in images_u8])
      drifts.append(np.abs(colors - given).max())
    name = f"{args.weights}_{conditioning}_{weight:g}"
    print(
      f"{name}: drift {np.round(drifts)} mean {np.mean(drifts):.0f},"
      f" {seconds:.1f} s a view",
      flush=True,
    )
    rows = [
      [scene.given.images_u8[0], *images_u8]
      for scene, images_u8 in zip(scenes, views, strict=True)
    ]
    write_png(args.out / f"{name}.png", image_grid(rows, min_side=96))


if __name__ == "__main__":
  main()
