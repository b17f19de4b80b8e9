# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws many objects of `shapes` in one picture.

python -m shapes.contact_sheet sheet.png    (in the folder datasets/)
"""

import sys

import numpy as np
from PIL import Image
from rendering import Renderer
from shapes import objects

from threedim_jax.views import camera_paths


def main(path: str, rows: int = 4, columns: int = 8, resolution: int = 128):
  tiles = []
  for i in range(rows * columns):
    kind = ("chair", "car")[i // columns % 2]
    render = Renderer(objects.build_mesh(kind, seed=0, split="test", index=i))
    radius = camera_paths.RADIUS[kind]
    point = camera_paths.sphere_points(35 + 47 * (i % 3), 24, radius)
    K = camera_paths.default_K(resolution)
    tiles.append(render(camera_paths.look_at(point), K, resolution))
  sheet = np.concatenate(
    [
      np.concatenate(tiles[r * columns : (r + 1) * columns], 1)
      for r in range(rows)
    ]
  )
  Image.fromarray(sheet).save(path)


if __name__ == "__main__":
  main(*sys.argv[1:])
