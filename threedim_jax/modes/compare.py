# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=compare`: compares another method's views with the true ones.

  compare("W")  # W is the workdir

The call scores the folders W/evaluate/<object>/ and writes W/evaluation.json,
as --mode=evaluate does. The folders have the format of `workdir.samples` and
must hold the true views. Neither a model nor a data set is needed. The results
of two methods are comparable if they have the same `list_sha256`. This hash
covers the objects, their given views and their generated views.
"""

from etils import epath

from threedim_jax.evaluation.distances.features import open_networks
from threedim_jax.evaluation.truth_scores import score_objects
from threedim_jax.modes.command_line import workdir_of
from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir import results, samples
from threedim_jax.workdir.evaluation_files import RESULT_FILE, samples_dir
from threedim_jax.workdir.protocol import Request, list_sha256
from threedim_jax.workdir.scores import read_scores


def compare(
  workdir: epath.PathLike, *, inception_weights: str | None = None
) -> dict:
  """Scores the finished folders in W/evaluate, and writes W/evaluation.json.

  Args:
    workdir: the folder W.
    inception_weights: path of the weights file that pytorch-fid publishes.
      None: FID and KID are not computed.

  Returns:
    The content of evaluation.json.

  Raises:
    UserError: there are no finished folders, a folder has no true views, or
      W/evaluation.json was written by --mode=evaluate.
  """
  networks = open_networks(inception_weights)  # refuse a wrong file at once
  workdir = epath.Path(workdir)
  folder = samples_dir(workdir, 0)
  _check_not_ours(workdir)
  folders = samples.list_complete(folder)
  if not folders:
    raise UserError(
      f"{folder} holds no finished folder of samples to compare with the truth"
      f" (<object>/{samples.INFO_FILE} and pictures, see"
      " threedim_jax/workdir/samples.py)"
    )
  # Reads all folders first, so that a missing true view is refused at once.
  requests = [_request(path) for path in folders]
  result = {
    "protocol": {
      "name": "the views in the folders",
      "list_sha256": list_sha256(requests),
    },
    "provenance": results.provenance(),
    **score_objects({p.name: [p] for p in folders}, networks, mean_u8=None),
  }
  results.write_result(workdir / RESULT_FILE, result)
  return result


def _check_not_ours(workdir: epath.Path) -> None:
  scores = read_scores(workdir / RESULT_FILE)
  if scores and "config" in scores.provenance:
    raise UserError(
      f"{workdir / RESULT_FILE} was written by --mode=evaluate. Put the views"
      " of another method into a workdir of their own."
    )


def _request(folder: epath.Path) -> Request:
  sampled = samples.read_sample(folder)
  if sampled.truth is None:
    raise UserError(
      f"{folder} has no true views: write truth_000.png and so on, and list"
      f' them as "truth_files" in {samples.INFO_FILE}'
    )
  return Request(
    object_id=sampled.object_id,
    input_views=tuple(sampled.given.index.tolist()),
    target_views=tuple(sampled.generated.index.tolist()),
  )


def run(config, args) -> None:
  """Runs `--mode=compare`: scores the views, prints scores, writes a report.

  `config` is not used.
  """
  from threedim_jax.viewing.report import write_report
  from threedim_jax.viewing.tables import print_scores

  workdir = workdir_of(args)
  compare(workdir, inception_weights=args.inception_weights)
  print_scores(read_scores(workdir / RESULT_FILE), "Scores")
  print(f"report: {write_report(workdir)}")
