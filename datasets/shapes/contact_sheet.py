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

_ROWS, _COLUMNS, _RESOLUTION = 4, 8, 128


def main(path: str) -> None:
  tiles = []
  for i in range(_ROWS * _COLUMNS):
    kind = ("chair", "car")[i // _COLUMNS % 2]
    render = Renderer(objects.build_mesh(kind, seed=0, split="test", index=i))
    radius = camera_paths.RADIUS[kind]
    point = camera_paths.sphere_points(35 + 47 * (i % 3), 24, radius)
    K = camera_paths.default_K(_RESOLUTION)
    tiles.append(render(camera_paths.look_at(point), K, _RESOLUTION))
  sheet = np.concatenate(
    [
      np.concatenate(tiles[r * _COLUMNS : (r + 1) * _COLUMNS], 1)
      for r in range(_ROWS)
    ]
  )
  Image.fromarray(sheet).save(path)


if __name__ == "__main__":
  main(sys.argv[1])
