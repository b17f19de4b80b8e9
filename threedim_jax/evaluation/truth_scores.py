# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores generated views against the true views in the same folders.

  folder = epath.Path("W/samples/chair_7")  # W is the workdir
  scores = score_objects({"chair_7": [folder]}, open_networks(), mean_u8=None)
  scores["mean"]["psnr_u8"]

The folder holds generated and true views. `mean_u8` can be the mean picture of
the training views, which is then scored as a baseline. Scores of single views
are averaged over the views of each object, then over the objects.
"""

from collections.abc import Mapping, Sequence
import itertools
from typing import Any

from etils import epath
from jaxtyping import UInt8
import numpy as np

from threedim_jax.evaluation.distances.features import Network, Pool
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import metrics
from threedim_jax.workdir import results
from threedim_jax.workdir.samples import ObjectSamples, read_sample

MeanImage = UInt8[np.ndarray, "H W 3"] | None

# Of the SSIMs, 3DiM's comes first: it is the one to compare with the paper.
METRICS = (
  metrics.psnr,
  metrics.psnr_u8,
  metrics.ssim_gauss11,
  metrics.ssim_gauss11_snapped,
  metrics.ssim_skimage7,
)

SSIM_VARIANTS = {
  "ssim_gauss11": "3DiM's: 11x11 Gaussian, sd 1.5, population covariance",
  "ssim_gauss11_snapped": (
    "the same, with pixels white to 8 levels in both pictures set to white"
  ),
  "ssim_skimage7": "7x7 uniform window, sample covariance",
}
VARIANTS = {
  "psnr": "floats before rounding, mean of per-view dB",
  "psnr_u8": "8-bit PNG files, mean of per-view dB",
  **SSIM_VARIANTS,
  "diversity_rmse": "distance of two samples of the same views, 0 to 1",
}


def score_sample(sampled: ObjectSamples) -> dict[str, np.ndarray]:
  """Scores the N generated views of one folder against the true views.

  `psnr` compares pictures before they are rounded to 8 bits. The values of
  `psnr` are read from the folder's input.json. Without these values, the metric
  is left out.

  Returns:
    {metric: values [N]}.

  Raises:
    UserError: `psnr` in input.json is not a list with one number per view.
  """
  scores = metrics.score_views(
    METRICS[1:], sampled.generated.images_u8, sampled.truth.images_u8
  )
  noted = sampled.info.get("psnr")
  if noted is None:
    return scores
  num_views = len(sampled.generated)
  is_list = isinstance(noted, list) and len(noted) == num_views
  if not is_list or not all(isinstance(x, int | float) for x in noted):
    raise UserError(
      f'"psnr" in the input.json of {sampled.object_id} must list a number for'
      f" each of the {num_views} views. Delete the folder and sample it again."
    )
  return {"psnr": np.array(noted, np.float64), **scores}


def reference_pictures(
  samples: Sequence[ObjectSamples], mean_u8: MeanImage
) -> dict[str, np.ndarray]:
  """Returns the pictures of the baselines that the model is compared with.

  The baselines are the mean of all samples (if there are several), copies of
  the given view, and copies of the mean picture of the training views.

  Args:
    samples: samples of the same views of one object, with different seeds.
    mean_u8: mean picture of the training views. None: this baseline is left
      out.

  Returns:
    {name of the baseline: pictures [N, H, W, 3] with values from 0 to 255}.
  """
  first, count = samples[0], len(samples)
  rows = {}
  if count > 1:
    images = np.stack([s.generated.images_u8 for s in samples])
    rows[f"mean of {count} samples"] = images.mean(axis=0, dtype=np.float32)
  shape = first.truth.images_u8.shape
  rows["copy input"] = np.broadcast_to(first.given.images_u8[:1], shape)
  if mean_u8 is not None:
    rows["mean image"] = np.broadcast_to(mean_u8, shape)
  return rows


def diversity_rmse(samples: Sequence[ObjectSamples]) -> float:
  """Returns how much samples of the same views differ, from 0 to 1.

  The result is the root-mean-square pixel difference between two samples,
  averaged over all pairs of samples.
  """
  images = [s.generated.images_u8 / np.float32(255) for s in samples]
  pairs = itertools.combinations(images, 2)
  return float(np.mean([np.sqrt(np.mean((a - b) ** 2)) for a, b in pairs]))


def score_object(
  samples: Sequence[ObjectSamples], references: Mapping[str, np.ndarray]
) -> dict[str, Any]:
  """Scores one object, and returns the object's entry in evaluation.json.

  Args:
    samples: samples of the same views, with different seeds. The first sample
      gives the scores of "model" in the entry. The sample with the highest
      `psnr_u8` gives the scores of "best of N".
    references: pictures of the baselines, from `reference_pictures`.
  """
  each = [score_sample(s) for s in samples]
  means = [_means(scores) for scores in each]
  rows = {"model": means[0]}
  if len(samples) > 1:
    rows[f"best of {len(samples)}"] = max(means, key=lambda m: m["psnr_u8"])
    rows["model"] = means[0] | {"diversity_rmse": diversity_rmse(samples)}
  for name, images in references.items():
    scores = metrics.score_views(METRICS, images, samples[0].truth.images_u8)
    rows[name] = _means(scores)
  return {
    "input_view": int(samples[0].given.index[0]),
    "rows": {name: results.finite(row) for name, row in rows.items()},
    "mean": results.finite(rows["model"]),
    "views": [
      {
        "view": int(view),
        **results.finite({k: v[i] for k, v in each[0].items()}),
      }
      for i, view in enumerate(samples[0].generated.index)
    ],
  }


def _means(scores: Mapping[str, np.ndarray]) -> dict[str, float]:
  return {name: float(np.mean(values)) for name, values in scores.items()}


def score_objects(
  folders: Mapping[str, Sequence[epath.Path]],
  networks: Sequence[Network],
  mean_u8: MeanImage,
) -> dict[str, Any]:
  """Scores all objects, and returns the content of evaluation.json.

  The caller must add the keys "protocol" and "provenance".

  Args:
    folders: {object id: folders}. The folders of an object hold samples of the
      same views, with different seeds.
    networks: pretrained networks for distances (such as FID) between the
      generated and the true views of all objects.
    mean_u8: mean picture of the training views, which is scored as a baseline.
      None: this baseline is left out.
  """
  objects, pool, num_views = {}, Pool(networks), 0
  with progress.bar("score objects", len(folders), unit="object") as bar:
    for object_id, of_object in folders.items():
      samples = [read_sample(folder) for folder in of_object]
      references = reference_pictures(samples, mean_u8)
      objects[object_id] = score_object(samples, references)
      pool.add("truth", samples[0].truth.images_u8)
      pool.add("model", samples[0].generated.images_u8)
      for row, images in references.items():
        pool.add(row, np.round(images).astype(np.uint8))
      num_views += len(samples[0].generated)
      bar.advance()
  summary = results.summarize(objects)
  variants, remarks = pool.add_distances(
    summary["rows"], dict.fromkeys(["model", *references], "truth")
  )
  return {
    "variants": VARIANTS | variants,
    "remarks": remarks,
    "num_views": num_views,
    **summary,
    "mean": summary["rows"]["model"],
    "objects": objects,
  }
