# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=score`: measures 3D consistency, prints a table and writes a page.

source = samples_source("W/samples", num_views=100)  # W is the workdir
run_score(source, "W/samples_consistency")

At most `num_views` views of each object are used, evenly spaced.
"""

import dataclasses
import json

from etils import epath

from threedim_jax.evaluation.consistency import (
  PROTOCOLS,
  ConsistencyProtocol,
)
from threedim_jax.evaluation.consistency_results import score_consistency
from threedim_jax.evaluation.distances.features import open_networks
from threedim_jax.evaluation.view_sets import (
  Source,
  posed_source,
  samples_source,
)
from threedim_jax.modes.command_line import results_folder
from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing.score_page import write_score_page
from threedim_jax.viewing.tables import print_scores
from threedim_jax.workdir.same_settings import (
  LEFT_AS_THEY_ARE,
  check_same_settings,
)
from threedim_jax.workdir.scores import read_scores


def run_score(
  source: Source,
  out: epath.PathLike,
  protocol: ConsistencyProtocol = ConsistencyProtocol(),
  *,
  inception_weights: str | None = None,
) -> epath.Path:
  """Scores the 3D consistency of views, and writes `out`/consistency.html.

  The function also prints the scores.

  Args:
    source: where the views of each object come from.
    out: folder for the pictures, consistency.json and the page.
    protocol: settings of the consistency score.
    inception_weights: path of the weights file that pytorch-fid publishes.
      None: FID and KID are not computed.

  Returns:
    The path of the page.

  Raises:
    UserError: an object's folder is damaged or has too few views, or `out` is
      the folder that holds the views.
  """
  networks = open_networks(inception_weights)  # refuse a wrong file at once
  out = epath.Path(out)
  score_consistency(source, out, protocol, networks)
  page = write_score_page(out)
  scores = read_scores(out / "consistency.json")
  print_scores(scores, f"3D consistency, {protocol.name}")
  return page


def run(config, args) -> None:
  """Runs `--mode=score`. By default, results go to a folder beside the input.

  Raises:
    UserError: both or neither of --samples and --views are given, or existing
      scores were made with other settings or include other objects.
  """
  folder = args.samples or args.views
  if not folder or (args.samples and args.views):
    raise UserError(
      "--mode=score needs --samples=DIR, a folder of samples such as W/samples,"
      " or --views=DIR, a folder of posed pictures of one object"
    )
  protocol = PROTOCOLS[args.protocol]
  given = {
    "num_views": args.num_views,
    "num_steps": args.num_steps,
    "fit_given": args.fit_given or None,
  }
  protocol = dataclasses.replace(
    protocol, **{name: v for name, v in given.items() if v is not None}
  )
  if args.samples:
    source = samples_source(folder, protocol.num_views)
  else:
    source = posed_source(folder, size=args.size, num_views=protocol.num_views)
  out = results_folder(args, folder, "consistency")
  before = read_scores(out / "consistency.json")
  if before and not args.overwrite:
    settings = json.loads(json.dumps(protocol.settings()))
    check_same_settings(out, before.protocol, settings)
    # More objects are added to the old ones. Others would replace them.
    if others := sorted(before.objects.keys() - source.keys()):
      raise UserError(
        f"{out} holds scores of objects that {folder} does not have, such as"
        f" {others[0]}. {LEFT_AS_THEY_ARE}"
      )
  page = run_score(
    source, out, protocol, inception_weights=args.inception_weights
  )
  print(f"report: {page}")
