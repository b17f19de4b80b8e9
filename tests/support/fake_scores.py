# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What --mode=evaluate and --mode=score leave, without a model or a field.

  fake_scored_run(tmp_path)  # fake_run, evaluated and scored
  fake_evaluation(samples)  # the object in evaluation.json
  fake_consistency(tmp_path / "out", samples)  # consistency.json and pictures

The "field" draws the generated views shifted by a pixel, so that the picture
of differences shows outlines.
"""

import json

from fake_run import blurred, fake_run
import numpy as np

from threedim_jax.views.png import encode_png
from threedim_jax.workdir.samples import ObjectSamples, write_sample

SHA256 = "5f" * 32


def score(psnr: float) -> dict[str, float]:
  return {
    "psnr_u8": psnr,
    "ssim_skimage7": psnr / 30,
    "ssim_gauss11": psnr / 31,
  }


def fake_scored_run(workdir, **kwargs) -> list[ObjectSamples]:
  """A run of which every section of the report has something to show."""
  samples = fake_run(workdir, **kwargs)
  for sampled in samples:
    write_sample(workdir / "evaluate", sampled)
  (workdir / "evaluation.json").write_text(json.dumps(fake_evaluation(samples)))
  fake_consistency(workdir / "samples_consistency", samples)
  return samples


def fake_evaluation(samples: list[ObjectSamples]) -> dict:
  """Object i has a PSNR of 20 + i; the set's is what the tests look for."""
  model = score(21.5)
  of_a_set = {
    "fd_effnetlite0": 88.125,
    "kd_effnetlite0": 0.0425,
    "kd_effnetlite0_se": 0.0031,
  }
  rows = {
    "model": model | of_a_set | {"diversity_rmse": 0.0625},
    "best of 4": score(23.25),
    "mean of 4 samples": score(22.75),
    "copy input": score(15.25),
    "mean image": score(13.75),
  }
  errors = {name: {"psnr_u8": 0.31, "ssim_skimage7": 0.012} for name in rows}
  return {
    "protocol": {
      "name": "srn-v1",
      "list_sha256": SHA256,
      "subset": "2 of 8 objects, 6 of 24 views",
      "input_view": 64,
      "averaging": "view -> object -> set",
    },
    "provenance": {
      "command": "python -m threedim_jax.main --mode=evaluate",
      "git_revision": "0123abc",
      "checkpoint_step": 400,
      "versions": {"jax": "0.10.2", "threedim_jax": "0.1.0"},
    },
    "variants": {
      "psnr_u8": "float, mean over views, then objects",
      "ssim": "skimage 7x7 uniform; Gaussian 11x11",
      "fd_effnetlite0": "EfficientNet-Lite0 features: not FID",
    },
    "num_objects": len(samples),
    "num_views": sum(len(s.generated) for s in samples),
    "mean": rows["model"],
    "rows": rows,
    "standard_errors": errors,
    "intervals": {"model": {"psnr_u8": [20.75, 22.25]}},
    "objects": {
      s.object_id: {
        "input_view": int(s.given.index[0]),
        "rows": {"model": score(20.0 + i), "copy input": score(15.0)},
        "mean": score(20.0 + i),
        "views": [
          {"view": int(v), **score(20 + v / 10)} for v in s.generated.index
        ],
      }
      for i, s in enumerate(samples)
    },
  }


def fake_consistency(
  out_dir, samples: list[ObjectSamples], *, every: int = 2, truth: bool = True
) -> dict:
  """Fills `out_dir`; object i agrees to 30 - i dB. Returns the numbers."""
  names = ("generated", "ground truth", "white image")
  psnr = dict(zip(names, (29.5, 34.25, 9.75), strict=True))
  if not truth:
    del psnr["ground truth"]
  row = lambda value: {
    "psnr_u8": value,
    "ssim_skimage7": value / 40,
    "psnr_fg_u8": value - 6,
    "fd_effnetlite0": 1000 / value,
  }
  rows = {name: row(value) for name, value in psnr.items()}
  for name in set(rows) - {"white image"}:
    rows[name]["psnr_input_u8"] = 24.5
  objects = {}
  for i, sampled in enumerate(samples):
    held_out = list(range(0, len(sampled.generated), every))
    folder = out_dir / sampled.object_id
    folder.mkdir(parents=True)
    pictures = {"input_000": sampled.given.images_u8[0]}
    for view in held_out:
      pictures[f"view_{view:03d}"] = sampled.generated.images_u8[view]
      if truth:
        pictures[f"truth_{view:03d}"] = sampled.truth.images_u8[view]
    for name, image_u8 in list(pictures.items()):
      pictures[_render_name(name)] = blurred(np.roll(image_u8, 1, axis=1))
    for name, image_u8 in pictures.items():
      (folder / f"{name}.png").write_bytes(encode_png(image_u8))
    objects[sampled.object_id] = {
      "held_out": held_out,
      "foreground": 0.23,
      "rows": {name: row(value + 0.5 - i) for name, value in psnr.items()},
    }
  result = {
    "protocol": {
      "name": "consistency-v1",
      "num_views": len(samples[0].generated),
      "hold_out_every": every,
      "num_steps": 1000,
      "seed": 0,
      "field": {"resolutions": [17, 33, 65]},
    },
    "provenance": {"git_revision": "0123abc", "device": "cpu"},
    "variants": {"psnr_u8": "8-bit pictures", "fd": "not FID"},
    "num_objects": len(samples),
    "num_held_out": sum(len(o["held_out"]) for o in objects.values()),
    "rows": rows,
    "intervals": {
      name: {"psnr_u8": [value - 1, value + 1]} for name, value in psnr.items()
    },
    "objects": objects,
  }
  (out_dir / "consistency.json").write_text(json.dumps(result))
  return result


def _render_name(name: str) -> str:
  """view_010 -> render_010, truth_010 -> truth_render_010."""
  kind, number = name.split("_")
  return f"{'' if kind == 'view' else kind + '_'}render_{number}"
