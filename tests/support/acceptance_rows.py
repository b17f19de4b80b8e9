# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores the striped spheres, and ways to spoil their views.

  python tests/support/acceptance_rows.py OUT.json [NAME...]

A process of its own: the cheap compilation of the test suite makes programs of
many steps several times slower.
"""

import json
import sys

import numpy as np
import striped_spheres

from threedim_jax.evaluation import consistency as score
from threedim_jax.evaluation.view_sets import ScoredViews
from threedim_jax.views.posed_views import PosedViews

NUM_VIEWS = 40
PROTOCOL = score.ConsistencyProtocol(num_steps=200, hold_out_every=8)


def spoiled_sets() -> dict[str, ScoredViews]:
  images_u8, poses, K = striped_spheres.views(NUM_VIEWS, size=32)
  make = lambda name, images_u8=images_u8, poses=poses: ScoredViews(
    name, PosedViews(images_u8, poses, K)
  )
  hue = lambda sd: striped_spheres.jitter_hue(images_u8, sd)
  pose = lambda sd: striped_spheres.jitter_pose(poses, sd)
  order = np.random.default_rng(3).permutation(NUM_VIEWS)
  sets = [
    make("clean"),
    *(make(f"hue {sd}", hue(sd)) for sd in (0.03, 0.1, 0.3)),
    *(make(f"pose {sd}", poses=pose(sd)) for sd in (2, 5, 15)),
    make("identical", np.repeat(images_u8[:1], NUM_VIEWS, axis=0)),
    make("shuffled", images_u8[order]),
  ]
  return {s.row: s for s in sets}


def main(out: str, *names: str) -> None:
  sets = spoiled_sets()
  chosen = [sets[name] for name in names or sets]
  # All at once: one program, one compilation.
  rows = {f.view_set.row: f.row() for f in score.fit_sets(chosen, PROTOCOL)}
  for name, row in rows.items():
    print(name, {k: round(v, 4) for k, v in row.items()})
  with open(out, "w") as f:
    json.dump(rows, f)


if __name__ == "__main__":
  main(*sys.argv[1:])
