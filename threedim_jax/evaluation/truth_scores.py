# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of samples against the true views in them, and against floors.

Metrics are averaged over the views of an object, then over objects.

  scores = score_objects({"chair_7": [folder]}, open_networks(), mean_u8)
"""

from collections.abc import Mapping, Sequence
import itertools
from typing import Any

from etils import epath
from jaxtyping import UInt8
import numpy as np

from threedim_jax.evaluation.distances.features import Network
from threedim_jax.evaluation.distances.pool import Pool
from threedim_jax.runtime import progress
from threedim_jax.views import metrics
from threedim_jax.workdir import results
from threedim_jax.workdir import samples as sample_io
from threedim_jax.workdir.samples import ObjectSamples

MeanImage = UInt8[np.ndarray, "H W 3"] | None

METRICS = (
  metrics.psnr,
  metrics.psnr_u8,
  metrics.ssim_skimage7,
  metrics.ssim_gauss11,
)

VARIANTS = {
  "psnr": "floats before rounding, mean of per-view dB",
  "psnr_u8": "8-bit PNG files, mean of per-view dB",
  "ssim_skimage7": "7x7 uniform window, sample covariance",
  "ssim_gauss11": "11x11 Gaussian, sd 1.5, population covariance",
  "diversity_rmse": "distance of two samples of the same views, 0 to 1",
}


def score_sample(sampled: ObjectSamples) -> dict[str, np.ndarray]:
  """Those of a folder; `psnr` only if noted when the views were floats."""
  scores = metrics.score_views(
    METRICS, sampled.generated.images_u8, sampled.truth.images_u8
  )
  del scores["psnr"]
  noted = sampled.info.get("psnr")
  return scores if noted is None else {"psnr": np.array(noted), **scores}


def rows_of_pictures(
  samples: Sequence[ObjectSamples], mean_u8: MeanImage
) -> dict[str, np.ndarray]:
  """The rows that are pictures, [N, H, W, 3] of 0 to 255, and no choice."""
  first, count = samples[0], len(samples)
  rows = {"model": first.generated.images_u8}
  if count > 1:
    images = np.stack([s.generated.images_u8 for s in samples])
    rows[f"mean of {count} samples"] = images.mean(axis=0, dtype=np.float32)
  shape = first.truth.images_u8.shape
  rows["copy input"] = np.broadcast_to(first.given.images_u8[:1], shape)
  if mean_u8 is not None:
    rows["mean image"] = np.broadcast_to(mean_u8, shape)
  return rows


def diversity_rmse(samples: Sequence[ObjectSamples]) -> float:
  """Mean over pairs of samples of the RMS pixel distance, in [0, 1]."""
  images = [s.generated.images_u8 / np.float32(255) for s in samples]
  pairs = itertools.combinations(images, 2)
  return float(np.mean([np.sqrt(np.mean((a - b) ** 2)) for a, b in pairs]))


def score_object(samples: Sequence[ObjectSamples], mean_u8: MeanImage) -> dict:
  """Scores of one object: single sample, best and mean of N, and floors.

  Args:
    samples: the same views, sampled with one seed each; the first is "model".
    mean_u8: of the training views; None: without that row.
  """
  mean = lambda scores: {k: np.mean(v) for k, v in scores.items()}
  first = samples[0]
  each = [score_sample(s) for s in samples]
  rows = {
    name: mean(metrics.score_views(METRICS, images, first.truth.images_u8))
    for name, images in rows_of_pictures(samples, mean_u8).items()
  }
  model = {"model": mean(each[0])}
  if len(samples) > 1:
    model["model"]["diversity_rmse"] = diversity_rmse(samples)
    best = max(map(mean, each), key=lambda m: m["psnr_u8"])
    model[f"best of {len(samples)}"] = best
  rows = model | {k: v for k, v in rows.items() if k != "model"}
  return {
    "input_view": int(first.given.index[0]),
    "rows": {name: results.finite(row) for name, row in rows.items()},
    "mean": results.finite(rows["model"]),
    "views": [
      {
        "view": int(view),
        **results.finite({k: v[i] for k, v in each[0].items()}),
      }
      for i, view in enumerate(first.generated.index)
    ],
  }


def score_objects(
  folders: Mapping[str, Sequence[epath.Path]],
  networks: Sequence[Network],
  mean_u8: MeanImage,
) -> dict[str, Any]:
  """What evaluation.json says of the pictures.

  Args:
    folders: an object's samples of the same views, the first is "model".
    networks: for the distances of all pictures together.
    mean_u8: of the training views; None: without that row.
  """
  objects, pool, num_views = {}, Pool(networks), 0
  with progress.bar("score objects", total=len(folders)) as bar:
    for object_id, of_object in folders.items():
      samples = [sample_io.read_sample(folder) for folder in of_object]
      objects[object_id] = score_object(samples, mean_u8)
      pool.add("truth", samples[0].truth.images_u8)
      pictures = rows_of_pictures(samples, mean_u8)
      for row, images in pictures.items():
        pool.add(row, np.round(images).astype(np.uint8))
      num_views += len(samples[0].generated)
      bar.advance()
  summary = results.summarize(objects)
  distances = pool.distances(dict.fromkeys(pictures, "truth"))
  for row, values in distances.rows.items():
    summary["rows"][row] |= results.finite(values)
  return {
    "variants": VARIANTS | distances.variants,
    "remarks": distances.remarks,
    "num_views": num_views,
    **summary,
    "mean": summary["rows"]["model"],
    "objects": objects,
  }
