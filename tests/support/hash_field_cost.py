# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits the field of `consistency-3dim` to true views; tells cost and PSNR.

  python tests/support/hash_field_cost.py SIZE NUM_VIEWS NUM_STEPS

Of NUM_VIEWS views of the striped spheres one in eight is held out. Prints CPU
seconds of each ten steps, then the PSNR of the held-out views.
"""

import os
import sys

import jax
import numpy as np
import striped_spheres

from threedim_jax.evaluation.fields.fit import fit_fields, render_views
from threedim_jax.evaluation.fields.hash_field import HashFieldConfig
from threedim_jax.views import metrics


def main(size: int, num_views: int, num_steps: int) -> None:
  images_u8, *cameras = striped_spheres.views(num_views, size=size)
  held_out = np.arange(5, num_views, 8)
  fitted = np.setdiff1d(np.arange(num_views), held_out)
  since = os.times().user

  def on_steps(count: int) -> None:
    nonlocal since
    now, rays = os.times().user, len(fitted) * size**2
    print(f"{count} steps of {rays} rays: {now - since:.2f} CPU s", flush=True)
    since = now

  fields = fit_fields(
    images_u8[None, fitted],
    *(x[None, fitted] for x in cameras),
    config=HashFieldConfig.for_size(size),
    num_steps=num_steps,
    rng=jax.random.key(0),
    on_steps=on_steps,
  )
  renders = render_views(
    fields, *(x[None, held_out] for x in cameras), (size, size)
  )
  psnr = metrics.psnr_u8(np.asarray(renders)[0], images_u8[held_out] / 255)
  print(f"held out: {psnr.mean():.2f} dB")


if __name__ == "__main__":
  main(*map(int, sys.argv[1:]))
