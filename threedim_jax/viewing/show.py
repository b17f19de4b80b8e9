# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes pictures and pages that show the samples of objects.

samples = [read_sample(folder) for folder in folders]  # one folder per object
show(folders[0], samples[0])     # writes into the folder of one object
show_together(workdir, samples)  # writes into the workdir, beside the report
"""

from collections.abc import Sequence

import einops
from etils import epath
from jaxtyping import UInt8
import numpy as np

from threedim_jax.viewing.motion import write_gif, write_mp4
from threedim_jax.viewing.viewer import write_viewer
from threedim_jax.views.image_grid import image_grid, write_png
from threedim_jax.workdir.samples import ObjectSamples
from threedim_jax.workdir.transforms_json import write_transforms

FPS, FPS_TOGETHER = 12, 6
PER_ROW = 4  # objects in a row of orbits.gif and orbits.mp4


def show(folder: epath.PathLike, sampled: ObjectSamples) -> None:
  """Writes pictures, an orbit viewer and transforms.json for one object.

  The pictures are views.png (all views in a grid), orbit.gif and orbit.mp4.
  """
  folder, frames_u8 = epath.Path(folder), sampled.generated.images_u8
  write_png(folder / "views.png", views_grid(sampled))
  write_gif(folder / "orbit.gif", frames_u8, fps=FPS)
  write_mp4(folder / "orbit.mp4", frames_u8, fps=FPS)
  write_viewer(folder, sampled)
  write_transforms(folder, sampled)


def show_together(
  workdir: epath.PathLike, samples: Sequence[ObjectSamples]
) -> None:
  """Writes pictures that show several objects, each beside its given view.

  orbits.gif and orbits.mp4 show the objects in rows of `PER_ROW`, one view of
  each object at a time. views.png has one row per object.
  """
  workdir = epath.Path(workdir)
  length = min(len(s.generated) for s in samples)
  pairs = []
  for s in samples:
    given_u8 = np.repeat(s.given.images_u8[:1], length, axis=0)
    pairs.append(np.concatenate([given_u8, s.generated.images_u8[:length]], 2))
  columns = min(PER_ROW, len(pairs))
  # White pictures fill the last row.
  pairs += [np.full_like(pairs[0], 255)] * (-len(pairs) % columns)
  frames_u8 = einops.rearrange(
    pairs, "(r c) n h w rgb -> n (r h) (c w) rgb", c=columns
  )
  write_gif(workdir / "orbits.gif", frames_u8, fps=FPS_TOGETHER, min_side=96)
  write_mp4(workdir / "orbits.mp4", frames_u8, fps=FPS_TOGETHER)
  rows = [
    [s.given.images_u8[0], *s.generated.images_u8[:length]] for s in samples
  ]
  write_png(workdir / "views.png", image_grid(rows, min_side=96))


def views_grid(
  sampled: ObjectSamples, *, per_row: int = 8, min_side: int = 96
) -> UInt8[np.ndarray, "H2 W2 3"]:
  """Draws the given views in one row, and the generated views in rows below.

  If the true views are known, each row of generated views is followed by a row
  with the true views from the same cameras.

  Args:
    per_row: number of generated views in a row.
    min_side: smaller views are enlarged, until the shorter side has at least
      this many pixels.
  """
  rows, labels = [list(sampled.given.images_u8)], ["input"]
  for i in range(0, len(sampled.generated), per_row):
    rows.append(list(sampled.generated.images_u8[i : i + per_row]))
    labels.append("generated")
    if sampled.truth is not None:
      rows.append(list(sampled.truth.images_u8[i : i + per_row]))
      labels.append("truth")
  return image_grid(rows, row_labels=labels, min_side=min_side)
