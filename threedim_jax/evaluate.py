# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=evaluate`: generated test views against the true ones.

Protocol (SRN's, as in pixelNeRF): one input view, number 64 or the middle one
of objects with fewer; targets are all other views or a seeded subset; metrics
are averaged over the views of an object, then over objects. The views lie in
`<workdir>/evaluate/<object>/` like any samples, so a run that was cut short
resumes, and the numbers can be recomputed from the folders alone.
"""

from collections.abc import Callable, Mapping
import json
import subprocess
from typing import SupportsFloat
import zlib

from etils import epath
import jax
from ml_collections import ConfigDict
import numpy as np

from threedim_jax import metrics, progress, sample_io
from threedim_jax.from_config import open_split
from threedim_jax.generate import Generator, Request, by_shape
from threedim_jax.view_source import Views

SRN_INPUT_VIEW = 64  # what single-view SRN benchmarks give to the model

# Train views that the mean image is taken over, spread over the split.
MEAN_IMAGE_VIEWS = 1000

METRICS: dict[str, Callable] = {
  "psnr_u8": metrics.psnr_u8,
  "ssim_skimage7": metrics.ssim_skimage7,
  "ssim_gauss11": metrics.ssim_gauss11,
}

VARIANTS = {
  "psnr_u8": "8-bit PNG files, mean of per-view dB",
  "ssim_skimage7": "7x7 uniform window, sample covariance",
  "ssim_gauss11": "11x11 Gaussian, sd 1.5, population covariance",
}


def input_view_of(num_views: int) -> int:
  """64, or the middle view of an object with fewer."""
  return SRN_INPUT_VIEW if num_views > SRN_INPUT_VIEW else num_views // 2


def requests_of(config: ConfigDict, views: Views) -> list[Request]:
  """All test objects, or the first evaluate.num_objects, and their targets."""
  requests = []
  for object_id in views.object_ids[: config.evaluate.num_objects]:
    count = views.num_views(object_id)
    given = input_view_of(count)
    targets = [i for i in range(count) if i != given]
    if config.evaluate.num_views:
      # Seeded by the object, so that its targets do not depend on the others.
      rng = np.random.default_rng(zlib.crc32(object_id.encode()))
      num = min(config.evaluate.num_views, len(targets))
      targets = sorted(rng.choice(targets, num, replace=False).tolist())
    requests.append(Request(object_id, (given,), tuple(targets)))
  return requests


def mean_image(views: Views) -> np.ndarray:
  """Mean of train views spread over the split, uint8 [H, W, 3]."""
  records = np.linspace(0, len(views) - 1, MEAN_IMAGE_VIEWS).astype(int)
  with progress.waiting("average the training views"):
    images = views.gather(np.unique(records))["image"]
  return np.round(images.mean(axis=0)).astype(np.uint8)


@jax.jit
def _all_metrics(images_u8, truth_u8):
  images, truth = images_u8 / 255.0, truth_u8 / 255.0
  return {name: fn(images, truth) for name, fn in METRICS.items()}


def score_views(images_u8, truth_u8) -> dict[str, np.ndarray]:
  """Every metric of every view: {name: [N]}."""
  return jax.device_get(_all_metrics(images_u8, truth_u8))


def _rounded(values: Mapping[str, SupportsFloat]) -> dict[str, float]:
  return {k: round(float(v), 5) for k, v in values.items()}


def score_folder(folder: epath.Path, mean_u8: np.ndarray) -> dict:
  """Scores of one object: the model's views, and two floors."""
  sampled = sample_io.read_sample(folder)
  truth = sampled.truth_u8
  rows = {
    "model": sampled.images_u8,
    "copy input": np.broadcast_to(sampled.input_images_u8[:1], truth.shape),
    "mean image": np.broadcast_to(mean_u8, truth.shape),
  }
  scores = {name: score_views(images, truth) for name, images in rows.items()}
  means = {
    name: {k: float(np.mean(v)) for k, v in score.items()}
    for name, score in scores.items()
  }
  per_view = [
    {
      "view": int(view),
      **_rounded({k: v[i] for k, v in scores["model"].items()}),
    }
    for i, view in enumerate(sampled.view)
  ]
  return {
    "input_view": int(sampled.input_view[0]),
    "mean": _rounded(means["model"]),
    "rows": {name: _rounded(mean) for name, mean in means.items()},
    "views": per_view,
  }


def git_revision() -> str | None:
  """Revision of the source tree, with "+" if it was changed; None outside."""
  source = epath.resource_path("threedim_jax").parent
  run = lambda *args: subprocess.run(
    ["git", "-C", str(source), *args],
    capture_output=True,
    text=True,
    check=True,
  ).stdout.strip()
  try:
    # Installed inside somebody's repository is not the same as part of it.
    run("ls-files", "--error-unmatch", __file__)
    revision = run("rev-parse", "HEAD")
    return revision + ("+" if run("status", "--porcelain") else "")
  except (OSError, subprocess.CalledProcessError):
    return None


def _provenance(generator: Generator) -> dict:
  """What made the numbers: the configuration that the weights were trained
  with, and of this run only what it decides, how to sample and evaluate."""
  now = generator.config.to_dict()
  of_this_run = {k: now[k] for k in ("data", "sampler", "evaluate")}
  return {
    "config": generator.trained_config | of_this_run,
    "checkpoint_step": generator.step,
    "git_revision": git_revision(),
    "jax": jax.__version__,
    "device": jax.devices()[0].device_kind,
    "protocol": (
      f"input view {SRN_INPUT_VIEW} or the middle one; mean over views,"
      " then over objects; single sample"
    ),
  }


def evaluate(config: ConfigDict, workdir: epath.PathLike) -> dict:
  """Generates what is missing, scores it, writes evaluation.json."""
  workdir = epath.Path(workdir)
  views, train_views = open_split(config, "test"), open_split(config, "train")
  generator = Generator(config, workdir)
  folders = []
  for group in by_shape(requests_of(config, views)):
    folders += generator.run(
      views,
      group,
      workdir / "evaluate",
      batch_size=config.evaluate.batch_size,
    )
  mean_u8 = mean_image(train_views)
  objects = {}
  with progress.bar("score objects", total=len(folders)) as bar:
    for folder in folders:
      objects[folder.name] = score_folder(folder, mean_u8)
      bar.advance()

  mean_over = lambda pick: _rounded(
    {k: np.mean([pick(o)[k] for o in objects.values()]) for k in METRICS}
  )
  rows = {
    name: mean_over(lambda o, name=name: o["rows"][name])
    for name in next(iter(objects.values()))["rows"]
  }
  result = {
    "provenance": _provenance(generator),
    "variants": VARIANTS,
    "num_objects": len(objects),
    "num_views": sum(len(o["views"]) for o in objects.values()),
    "mean": rows["model"],
    "rows": rows,
    "objects": objects,
  }
  temporary = workdir / ".evaluation.json.tmp"
  temporary.write_text(json.dumps(result, indent=1))
  temporary.replace(workdir / "evaluation.json")
  return result
