# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=evaluate`: generated test views against the true ones.

Follows `protocol.SRN_V1`: one input view, all other views are targets, or a
seeded subset; `truth_scores` says how they are scored. The views lie in
`<workdir>/evaluate/<object>/` like any samples (further samples of the same
views in `evaluate_1`, and so on), so a run that was cut short resumes, and
`compare` scores the folders of another method.

The processes of a run share the objects out, and the first one scores. So do
`evaluate.num_shards` runs that know nothing of each other, each with its own
`evaluate.shard_index`: the one that finishes last writes evaluation.json.
"""

from collections.abc import Sequence
import dataclasses

from etils import epath
import jax
from ml_collections import ConfigDict
import numpy as np

from threedim_jax.evaluation.distances.features import open_networks
from threedim_jax.evaluation.truth_scores import score_objects
from threedim_jax.inputs.view_source import Views, open_split
from threedim_jax.modes.command_line import workdir_of
from threedim_jax.runtime import progress
from threedim_jax.runtime.processes import wait_for_all
from threedim_jax.sampling.generate import Generator, my_share
from threedim_jax.sampling.object_folder import is_done
from threedim_jax.workdir import results
from threedim_jax.workdir.evaluation_files import RESULT_FILE, samples_dir
from threedim_jax.workdir.protocol import (
  Request,
  by_shape,
  given_view,
  list_sha256,
  requests_of,
  subset_text,
)

# Train views that the mean image is taken over, spread over the split.
MEAN_IMAGE_VIEWS = 1000


def mean_image(views: Views) -> np.ndarray:
  """Mean of train views spread over the split, uint8 [H, W, 3]."""
  records = np.linspace(0, len(views) - 1, MEAN_IMAGE_VIEWS).astype(int)
  with progress.waiting("average the training views"):
    images = views.gather(np.unique(records))[0]
  return np.round(images.mean(axis=0)).astype(np.uint8)


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
  objects = {
    request.object_id: [
      samples_dir(workdir, i) / request.object_id
      for i in range(config.evaluate.num_samples)
    ]
    for request in requests
  }
  result = {
    "protocol": {
      **dataclasses.asdict(protocol),
      "subset": subset_text(counts, requests),
      "list_sha256": list_sha256(requests),
      "num_samples": config.evaluate.num_samples,
    },
    "provenance": _provenance(generator),
    **score_objects(objects, networks, mean_image(train_views)),
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


def run(config: ConfigDict, args) -> None:
  """`--mode=evaluate`."""
  evaluate(
    config,
    workdir_of(args),
    inception_weights=args.inception_weights,
    pretrained=args.pretrained,
  )
