# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Prints how well objects are cut out of photos with shadows, as a table.

python tests/support/cutout_accuracy.py    # the numbers in datasets/README.md
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "datasets"), str(ROOT / "tests/support")]

import numpy as np  # noqa: E402
from photo_composites import Scene, composite  # noqa: E402
from PIL import Image  # noqa: E402

from threedim_jax.inputs.cutout import cut_out  # noqa: E402
from threedim_jax.runtime.errors import UserError  # noqa: E402

WALLS = {
  "grey": (225, 225, 225),
  "white": (250, 250, 250),
  "blue": (120, 150, 190),
}
LIGHTS = {
  "no shadow": {},
  "light falls off by 20 %": {"falloff": 0.2},
  "shadow of 40 %, soft": {"shadow": 0.4},
  "shadow of 60 %, very soft": {"shadow": 0.6, "blur": 0.06},
  "shadow of 60 %, hard": {"shadow": 0.6, "blur": 0.01},
}
OBJECTS = [("chair", i) for i in range(6)] + [("car", i) for i in range(4)]


def iou(kind: str, index: int, scene: Scene) -> float:
  """Of the cut-out and the object; 0 if the photo is refused."""
  image_u8, mask = composite(kind, index, scene)
  try:
    found = cut_out(Image.fromarray(image_u8))[1][..., 0] >= 0.5
  except UserError:
    return 0.0
  return float((found & mask).sum() / (found | mask).sum())


def main() -> None:
  print(f"| mean of IoU (lowest) | {' | '.join(WALLS)} |\n|---|---|---|---|")
  for name, light in LIGHTS.items():
    cells = []
    for wall in WALLS.values():
      scene = Scene(wall=wall, noise=1.0, **light)
      found = [iou(kind, index, scene) for kind, index in OBJECTS]
      cells.append(f"{np.mean(found):.3f} ({min(found):.2f})")
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
  main()
