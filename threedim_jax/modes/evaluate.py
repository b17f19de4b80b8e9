# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=evaluate`: generates test views and compares them with the true ones.

Under the protocol `SRN_V1`, the model gets one view of an object and generates
all other views or a seeded subset. `truth_scores` then compares each generated
view with the true view. Views are written to folders
`<workdir>/evaluate/<object>/`. If `evaluate.num_samples` asks for several
samples of each view, the later samples go to `evaluate_1` and so on. An
interrupted run resumes from these folders. `--mode=compare` scores another
method's views in folders of the same form.

The processes of a run divide the objects, and process 0 scores. Several runs
("shards") can also divide the objects. Each of `evaluate.num_shards` runs then
has its own `evaluate.shard_index`, and the run that finishes last writes
evaluation.json.
"""

import collections
from collections.abc import Sequence
import dataclasses
import json

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
from threedim_jax.sampling.generate import find_samples, generate, my_share
from threedim_jax.sampling.load import load_sampler, settings_of
from threedim_jax.sampling.scene import read_scene
from threedim_jax.sampling.view_sampler import Sampler
from threedim_jax.viewing.tables import print_scores
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
from threedim_jax.workdir.same_settings import check_same_settings
from threedim_jax.workdir.scores import read_scores

# The mean image averages this many training views, spread over the split.
MEAN_IMAGE_VIEWS = 1000


def mean_image(views: Views) -> np.ndarray:
  """Returns the mean of a split's pictures, uint8 [H, W, 3].

  The mean is over at most `MEAN_IMAGE_VIEWS` views, evenly spaced in the split.
  """
  records = np.linspace(0, len(views) - 1, MEAN_IMAGE_VIEWS).astype(int)
  with progress.waiting("average the training views"):
    images = views.gather(np.unique(records))[0]
  return np.round(images.mean(axis=0)).astype(np.uint8)


def sample_shard(
  sampler: Sampler,
  config: ConfigDict,
  views: Views,
  requests: Sequence[Request],
  workdir: epath.Path,
  overwrite: bool,
) -> bool:
  """Samples the missing views of the objects that this process must handle.

  Each shard handles some of the objects, and the processes of a shard divide
  these objects among themselves.

  Args:
    sampler: generates the views.
    config: whole configuration.
    views: the test split.
    requests: given and target views of the objects of all shards.
    workdir: folder of the run.
    overwrite: whether to replace samples made with other settings.

  Returns:
    Whether this process has to compute the scores: it is process 0 of its run,
    and the views of all shards are done.
  """
  shard, num_shards = config.evaluate.shard_index, config.evaluate.num_shards
  settings = [
    dataclasses.replace(settings_of(config), seed=config.sampler.seed + i)
    for i in range(config.evaluate.num_samples)
  ]

  def read(request):
    return read_scene(views, request)

  for i, each in enumerate(settings):
    for group in by_shape(my_share(requests[shard::num_shards])):
      sampled = generate(
        sampler,
        group,
        read,
        samples_dir(workdir, i),
        each,
        batch_size=config.evaluate.batch_size,
        overwrite=overwrite,
      )
      collections.deque(sampled, maxlen=0)  # the generator writes the folders
  with progress.waiting("wait for the other processes"):
    wait_for_all("sampled for the evaluation")
  if jax.process_index() != 0:
    return False
  if num_shards == 1:
    return True
  missing = sum(
    find_samples(
      samples_dir(workdir, i),
      read(request),
      request,
      sampler.facts() | each.facts(),
      overwrite=True,
    )
    is None
    for i, each in enumerate(settings)
    for request in requests
  )
  if missing:
    print(
      f"shard {shard} of {num_shards} is done; other shards still have"
      f" {missing} folder(s) of samples to make: the last one to finish writes"
      " evaluation.json"
    )
  return not missing


def evaluate(
  config: ConfigDict,
  workdir: epath.PathLike,
  *,
  inception_weights: str | None = None,
  pretrained: str | None = None,
  overwrite: bool = False,
) -> dict | None:
  """Generates missing views, scores all views and writes evaluation.json.

  Args:
    config: whole configuration.
    workdir: folder that holds the checkpoint; the views and scores are written
      there.
    inception_weights: path of the weights file that pytorch-fid publishes.
      None: FID and KID are not computed.
    pretrained: name of bundled weights to use instead of the checkpoint.
    overwrite: whether to replace samples and scores made with other settings.

  Returns:
    The content of evaluation.json. None if other shards have not finished, or
    if another process of this run computes the scores.

  Raises:
    UserError: there are no weights or no data set, or existing samples or
      scores were made with other settings.
  """
  networks = open_networks(inception_weights)  # refuse a wrong file at once
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
  sampler = load_sampler(pretrained, workdir=workdir, config=config)
  about = {
    "protocol": {
      **dataclasses.asdict(protocol),
      "subset": subset_text(counts, requests),
      "list_sha256": list_sha256(requests),
      "num_samples": config.evaluate.num_samples,
    },
    "provenance": _provenance(sampler, config),
  }
  if not overwrite:
    _check_settings(workdir / RESULT_FILE, about)
  if not sample_shard(sampler, config, views, requests, workdir, overwrite):
    return None
  objects = {
    request.object_id: [
      samples_dir(workdir, i) / request.object_id
      for i in range(config.evaluate.num_samples)
    ]
    for request in requests
  }
  result = {
    **about,
    **score_objects(objects, networks, mean_image(train_views)),
  }
  results.write_result(workdir / RESULT_FILE, result)
  return result


def _provenance(sampler: Sampler, config: ConfigDict) -> dict:
  """Returns which weights, configuration and code the scores were made with.

  The configuration is the one used for training, but the sections data, sampler
  and evaluate are taken from this run.
  """
  now = config.to_dict()
  of_this_run = {k: now[k] for k in ("data", "sampler", "evaluate")}
  return {
    "config": sampler.trained_config | of_this_run,
    "checkpoint_step": sampler.step,
    "pretrained": sampler.name,
    **results.provenance(),
  }


def _check_settings(path: epath.Path, about: dict) -> None:
  """Raises UserError if existing scores were made with other settings.

  Args:
    path: path of evaluation.json, which may be missing.
    about: {"protocol": ..., "provenance": ...} of this run.
  """
  before = read_scores(path)
  if before is None or "config" not in before.provenance:
    return
  check_same_settings(
    path,
    _settings(before.protocol, before.provenance),
    _settings(**json.loads(json.dumps(about))),
  )


def _settings(protocol: dict, provenance: dict) -> dict:
  """Returns {setting: value} for all settings that change the scores.

  `protocol` and `provenance` have the form that evaluation.json gives them.
  Settings that only split the objects among several runs (shards) are left out.
  """
  made_by = provenance["config"]
  evaluate = made_by.get("evaluate", {})
  return {
    "the list of views": protocol.get("subset") or "all",
    **{k: protocol.get(k) for k in ("name", "list_sha256", "num_samples")},
    **{k: provenance.get(k) for k in ("checkpoint_step", "pretrained")},
    **{f"sampler.{k}": v for k, v in made_by.get("sampler", {}).items()},
    **{f"data.{k}": made_by.get("data", {}).get(k) for k in ("name", "config")},
    **{f"evaluate.{k}": evaluate.get(k) for k in ("num_objects", "num_views")},
  }


def run(config: ConfigDict, args) -> None:
  """Runs `--mode=evaluate`; the process that scores prints the scores."""
  workdir = workdir_of(args)
  result = evaluate(
    config,
    workdir,
    inception_weights=args.inception_weights,
    pretrained=args.pretrained,
    overwrite=args.overwrite,
  )
  if result is not None:
    print_scores(read_scores(workdir / RESULT_FILE), "Scores")
