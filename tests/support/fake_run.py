# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A finished run without a model: striped spheres, seen from an orbit.

  sampled = fake_sample("chair_0", seed=0)  # an ObjectSamples, 32x32
  fake_run(tmp_path)  # a workdir of a real run; fake_scores.py has its scores

The "generated" views are the true ones, blurred, so that a person who looks at
a page can tell the two apart.
"""

import json

import cv2
import numpy as np
from striped_spheres import render

from threedim_jax.views.camera_paths import look_at, sphere_points
from threedim_jax.views.png import encode_png
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir.samples import ObjectSamples, write_sample

RESOLUTION = 32
# What a file must not get into a page as code.
HOSTILE = '"><script>planted=1<script><img src=x onerror=planted=1>'


def blurred(image_u8: np.ndarray) -> np.ndarray:
  """What stands for a generated view."""
  return cv2.GaussianBlur(image_u8, (0, 0), image_u8.shape[0] / 40)


def fake_sample(
  object_id: str = "chair_0",
  *,
  seed: int = 0,
  num_views: int = 12,
  resolution: int = RESOLUTION,
  elevations: tuple[float, ...] = (0.35,),
  truth: bool = True,
) -> ObjectSamples:
  """`num_views` on a ring per elevation; the first one is the given view."""
  azimuth = np.tile(np.arange(num_views) * 360 / num_views, len(elevations))
  elevation = np.repeat(np.degrees(elevations), num_views)
  cameras = np.float32(look_at(sphere_points(azimuth, elevation, 2.0)))
  focal, centre = 1.1 * resolution, resolution / 2
  K = np.float32([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])
  images_u8 = np.array([render(c, K, resolution) for c in cameras])
  # Every seed has its colours; the background stays white.
  images_u8 = images_u8[..., np.random.default_rng(seed).permutation(3)]
  K = np.tile(K, (len(cameras), 1, 1))
  index = np.arange(len(cameras), dtype=np.int32)
  views = PosedViews(images_u8, cameras, K, index, object_id)
  true = views[1:]
  return ObjectSamples(
    object_id=object_id,
    given=views[:1],
    generated=true.with_images(
      np.array([blurred(image_u8) for image_u8 in true.images_u8])
    ),
    truth=true if truth else None,
    info={
      "seed": seed,
      "num_sample_steps": 64,
      "guidance_weight": 3.0,
      "conditioning": "stochastic",
      "checkpoint_step": 400,
      "seconds_per_view": 0.8,
    },
  )


def fake_metrics(num_steps: int = 400, every: int = 5) -> list[dict]:
  """Rows of metrics.jsonl: a noisy decay, and a slower one in low bins."""
  rng = np.random.default_rng(0)
  rows = []
  for step in range(every, num_steps + 1, every):
    loss = 0.05 + 0.95 * np.exp(-step / 60)
    row = {"step": step, "train/loss": loss * rng.uniform(0.85, 1.15)}
    for b in range(8):
      row[f"train/loss_logsnr_bin_{b}"] = (
        (0.01 + loss) * 2.0 ** (b - 4) * rng.uniform(0.8, 1.2)
      )
    if step % 100 == 0:
      row["eval/loss"] = loss * 1.1
    rows.append(row)
  return rows


def fake_run(workdir, *, num_objects: int = 2, **kwargs) -> list[ObjectSamples]:
  """Fills `workdir` with all that training and sampling leave."""
  samples = [
    fake_sample(f"chair_{i}", seed=i, **kwargs) for i in range(num_objects)
  ]
  for sampled in samples:
    write_sample(workdir / "samples", sampled)
  config = {
    "data": {"name": "shapes", "config": "chairs_32", "resolution": 32},
    "model": {"ch": 32, "ch_mult": [1, 2, 2], "dtype": "float32"},
    "train": {
      "batch_size": 64,
      "num_examples": 25600,
      "init_from": "shapes32",
    },
  }
  (workdir / "config.json").write_text(json.dumps(config))
  (workdir / "metrics.jsonl").write_text(
    "".join(json.dumps(row) + "\n" for row in fake_metrics())
  )
  timings = {"build data": 21.4, "train": 341.0, "sample": 63.2, "score": 4.9}
  (workdir / "timings.json").write_text(json.dumps(timings))
  (workdir / "images").mkdir()
  for step in (100, 200, 300, 400):
    grid = np.hstack(samples[0].generated.images_u8[:4])
    path = workdir / "images" / f"{step:08d}_denoise.png"
    path.write_bytes(encode_png(grid))
  return samples
