# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores the striped spheres, and ways to spoil their views.

  python tests/support/acceptance_rows.py OUT.json [PROTOCOL [NAME...]]

It runs in a process of its own, because the test suite compiles programs
without optimisation, which makes many steps several times slower. Views of
consistency-3dim are smaller and its steps fewer: a step takes all pixels.
"""

import dataclasses
import json
import sys

import numpy as np
import striped_spheres

from threedim_jax.evaluation import consistency as score
from threedim_jax.evaluation.view_sets import ScoredViews
from threedim_jax.views.posed_views import PosedViews

SETTINGS = {  # number of views, their size, steps
  "consistency-v1": (40, 32, 200),
  "consistency-3dim": (20, 12, 40),
}


def spoiled_sets(num_views: int, size: int) -> dict[str, ScoredViews]:
  images_u8, poses, K = striped_spheres.views(num_views, size)
  make = lambda name, images_u8=images_u8, poses=poses: ScoredViews(
    name, PosedViews(images_u8, poses, K)
  )
  hue = lambda sd: striped_spheres.jitter_hue(images_u8, sd)
  pose = lambda sd: striped_spheres.jitter_pose(poses, sd)
  order = np.random.default_rng(3).permutation(num_views)
  sets = [
    make("clean"),
    *(make(f"hue {sd}", hue(sd)) for sd in (0.03, 0.1, 0.3)),
    *(make(f"pose {sd}", poses=pose(sd)) for sd in (2, 5, 15)),
    make("identical", np.repeat(images_u8[:1], num_views, axis=0)),
    make("shuffled", images_u8[order]),
  ]
  return {s.row: s for s in sets}


def main(out: str, protocol: str = "consistency-v1", *names: str) -> None:
  num_views, size, num_steps = SETTINGS[protocol]
  sets = spoiled_sets(num_views, size)
  chosen = [sets[name] for name in names or sets]
  settings = dataclasses.replace(
    score.PROTOCOLS[protocol], num_steps=num_steps, hold_out_every=8
  )
  # All at once: one program, one compilation.
  rows = {f.view_set.row: f.row() for f in score.fit_sets(chosen, settings)}
  for name, row in rows.items():
    print(name, {k: round(v, 4) for k, v in row.items()})
  with open(out, "w") as f:
    json.dump(rows, f)


if __name__ == "__main__":
  main(*sys.argv[1:])
