# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=evaluate`: generated test views against the true ones.

Follows `protocol.SRN_V1`: one input view, all other views are targets, or a
seeded subset; metrics are averaged over the views of an object, then over
objects. The views lie in `<workdir>/evaluate/<object>/` like any samples
(further samples of the same views in `evaluate_1`, and so on), so a run that
was cut short resumes, and the numbers can be recomputed from the folders.

The processes of a run share the objects out, and the first one scores. So do
`evaluate.num_shards` runs that know nothing of each other, each with its own
`evaluate.shard_index`: the one that finishes last writes evaluation.json.
"""

from collections.abc import Callable, Sequence
import dataclasses
import itertools

from etils import epath
import jax
from ml_collections import ConfigDict
import numpy as np

from threedim_jax import metrics, progress, results, sample_io
from threedim_jax.distances.features import open_networks
from threedim_jax.distances.pool import Pool
from threedim_jax.distributed import wait_for_all
from threedim_jax.evaluation_files import RESULT_FILE, samples_dir
from threedim_jax.from_config import open_split
from threedim_jax.generate import Generator, my_share
from threedim_jax.object_folder import is_done
from threedim_jax.protocol import (
  Request,
  by_shape,
  given_view,
  list_sha256,
  requests_of,
  subset_text,
)
from threedim_jax.sample_io import Sampled
from threedim_jax.view_source import Views

# Train views that the mean image is taken over, spread over the split.
MEAN_IMAGE_VIEWS = 1000

METRICS: dict[str, Callable] = {
  "psnr": metrics.psnr,
  "psnr_u8": metrics.psnr_u8,
  "ssim_skimage7": metrics.ssim_skimage7,
  "ssim_gauss11": metrics.ssim_gauss11,
}

VARIANTS = {
  "psnr": "floats before rounding, mean of per-view dB",
  "psnr_u8": "8-bit PNG files, mean of per-view dB",
  "ssim_skimage7": "7x7 uniform window, sample covariance",
  "ssim_gauss11": "11x11 Gaussian, sd 1.5, population covariance",
  "diversity_rmse": "distance of two samples of the same views, 0 to 1",
}


def mean_image(views: Views) -> np.ndarray:
  """Mean of train views spread over the split, uint8 [H, W, 3]."""
  records = np.linspace(0, len(views) - 1, MEAN_IMAGE_VIEWS).astype(int)
  with progress.waiting("average the training views"):
    images = views.gather(np.unique(records))["image"]
  return np.round(images.mean(axis=0)).astype(np.uint8)


@jax.jit
def _all_metrics(images, truth):
  return {name: fn(images, truth) for name, fn in METRICS.items()}


def score_views(images_u8, truth_u8) -> dict[str, np.ndarray]:
  """Every metric of every view, {name: [N]}; the pictures may be floats."""
  scale = np.float32(255)
  scores = jax.device_get(_all_metrics(images_u8 / scale, truth_u8 / scale))
  return {name: scores[name] for name in METRICS}  # jit sorts the names


def score_sample(sampled: Sampled) -> dict[str, np.ndarray]:
  """Those of a folder; `psnr` is the one noted when the views were floats."""
  scores = score_views(sampled.images_u8, sampled.truth_u8)
  return {**scores, "psnr": np.array(sampled.info["psnr"])}


def rows_of_pictures(
  samples: Sequence[Sampled], mean_u8: np.ndarray
) -> dict[str, np.ndarray]:
  """The rows that are pictures, [N, H, W, 3] of 0 to 255, and no choice."""
  first, count = samples[0], len(samples)
  rows = {"model": first.images_u8}
  if count > 1:
    images = np.stack([s.images_u8 for s in samples])
    rows[f"mean of {count} samples"] = images.mean(axis=0, dtype=np.float32)
  shape = first.truth_u8.shape
  rows["copy input"] = np.broadcast_to(first.input_images_u8[:1], shape)
  rows["mean image"] = np.broadcast_to(mean_u8, shape)
  return rows


def diversity_rmse(samples: Sequence[Sampled]) -> float:
  """Mean over pairs of samples of the RMS pixel distance, in [0, 1]."""
  images = [s.images_u8 / np.float32(255) for s in samples]
  pairs = itertools.combinations(images, 2)
  return float(np.mean([np.sqrt(np.mean((a - b) ** 2)) for a, b in pairs]))


def score_object(samples: Sequence[Sampled], mean_u8: np.ndarray) -> dict:
  """Scores of one object: single sample, best and mean of N, and floors.

  Args:
    samples: the same views, sampled with one seed each; the first is "model".
    mean_u8: [H, W, 3].
  """
  mean = lambda scores: {k: np.mean(v) for k, v in scores.items()}
  first = samples[0]
  each = [score_sample(s) for s in samples]
  rows = {
    name: mean(score_views(images, first.truth_u8))
    for name, images in rows_of_pictures(samples, mean_u8).items()
  }
  model = {"model": mean(each[0])}
  if len(samples) > 1:
    model["model"]["diversity_rmse"] = diversity_rmse(samples)
    best = max(map(mean, each), key=lambda m: m["psnr_u8"])
    model[f"best of {len(samples)}"] = best
  rows = model | {k: v for k, v in rows.items() if k != "model"}
  return {
    "input_view": int(first.input_view[0]),
    "rows": {name: results.finite(row) for name, row in rows.items()},
    "mean": results.finite(rows["model"]),
    "views": [
      {
        "view": int(view),
        **results.finite({k: v[i] for k, v in each[0].items()}),
      }
      for i, view in enumerate(first.view)
    ],
  }


def generate(
  generator: Generator, views: Views, requests: Sequence[Request], workdir
) -> bool:
  """Generates this shard's views; returns whether this process is to score.

  That is the first one of the shard that finds the views of all shards there.
  """
  config = generator.config.evaluate
  seed = generator.config.sampler.seed
  mine = requests[config.shard_index :: config.num_shards]
  for sample in range(config.num_samples):
    for group in by_shape(my_share(mine)):
      generator.run(
        views,
        group,
        samples_dir(workdir, sample),
        batch_size=config.batch_size,
        seed=seed + sample,
      )
  with progress.waiting("wait for the other processes"):
    wait_for_all("sampled for the evaluation")
  if jax.process_index() != 0:
    return False
  if config.num_shards == 1:
    return True
  missing = [
    request.object_id
    for sample in range(config.num_samples)
    for request in requests
    if not is_done(
      views,
      request,
      samples_dir(workdir, sample) / request.object_id,
      generator.facts(seed + sample),
    )
  ]
  if missing:
    print(
      f"shard {config.shard_index} of {config.num_shards} is done; other"
      f" shards still have {len(missing)} object(s) to sample: the last one to"
      " finish writes evaluation.json"
    )
  return not missing


def evaluate(
  config: ConfigDict,
  workdir: epath.PathLike,
  *,
  inception_weights: str | None = None,
  pretrained: str | None = None,
) -> dict | None:
  """Generates what is missing, scores it, writes evaluation.json.

  Args:
    config: configuration.
    workdir: holds the checkpoint.
    inception_weights: pytorch-fid's file, for FID and KID.
    pretrained: weights that ship, instead of those of the checkpoint.

  Returns:
    The result; None if other shards have not finished, or another process of
    this one writes it.
  """
  networks = open_networks(inception_weights)  # a wrong file: say so at once
  workdir = epath.Path(workdir)
  views, train_views = open_split(config, "test"), open_split(config, "train")
  counts = {i: views.num_views(i) for i in views.object_ids}
  protocol = given_view(config.evaluate.input_view)
  requests = requests_of(
    counts,
    num_objects=config.evaluate.num_objects,
    num_views=config.evaluate.num_views,
    protocol=protocol,
  )
  generator = Generator(config, workdir, pretrained)
  if not generate(generator, views, requests, workdir):
    return None
  mean_u8 = mean_image(train_views)
  objects, pool = {}, Pool(networks)
  with progress.bar("score objects", total=len(requests)) as bar:
    for request in requests:
      samples = [
        sample_io.read_sample(samples_dir(workdir, i) / request.object_id)
        for i in range(config.evaluate.num_samples)
      ]
      objects[request.object_id] = score_object(samples, mean_u8)
      pool.add("truth", samples[0].truth_u8)
      for row, images in rows_of_pictures(samples, mean_u8).items():
        pool.add(row, np.round(images).astype(np.uint8))
      bar.advance()
  rows = rows_of_pictures(samples, mean_u8)
  summary = results.summarize(objects)
  distances = pool.distances(dict.fromkeys(rows, "truth"))
  for row, values in distances.rows.items():
    summary["rows"][row] |= results.finite(values)
  result = {
    "protocol": {
      **dataclasses.asdict(protocol),
      "subset": subset_text(counts, requests),
      "list_sha256": list_sha256(requests),
      "num_samples": config.evaluate.num_samples,
    },
    "provenance": _provenance(generator),
    "variants": VARIANTS | distances.variants,
    "remarks": distances.remarks,
    "num_views": sum(len(r.target_views) for r in requests),
    **summary,
    "mean": summary["rows"]["model"],
    "objects": objects,
  }
  results.write_result(workdir / RESULT_FILE, result)
  return result


def _provenance(generator: Generator) -> dict:
  """What made the numbers: the configuration that the weights were trained
  with, and of this run only what it decides, how to sample and evaluate."""
  now = generator.config.to_dict()
  of_this_run = {k: now[k] for k in ("data", "sampler", "evaluate")}
  return {
    "config": generator.trained_config | of_this_run,
    "checkpoint_step": generator.step,
    "pretrained": generator.pretrained,
    **results.provenance(),
  }
