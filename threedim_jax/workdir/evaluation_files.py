# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where `--mode=evaluate` leaves its views and scores.

  evaluation.json         the scores, and the objects that they are of
  evaluate/<object>/      the views, see `sample_io`
  evaluate_1/<object>/    a second sample of the same views, and so on

  for folder in list_finished("W/evaluate"): ...

A workdir may hold folders of an earlier evaluation, of other objects or other
views. Only those that evaluation.json lists belong together.
"""

import re

from etils import epath

from threedim_jax.workdir import samples
from threedim_jax.workdir.scores import read_scores

RESULT_FILE = "evaluation.json"
FIRST_SAMPLES = "evaluate"

_SAMPLES = re.compile(FIRST_SAMPLES + r"(_\d+)?")


def samples_dir(workdir: epath.Path, sample: int) -> epath.Path:
  """Where the sample-th sample of every object lies."""
  return workdir / (f"{FIRST_SAMPLES}_{sample}" if sample else FIRST_SAMPLES)


def list_finished(samples_dir: epath.PathLike) -> list[epath.Path]:
  """The finished folders there; of an evaluation's only those that it lists.

  Raises:
    UserError: its evaluation.json is damaged.
  """
  folders = samples.list_complete(samples_dir)
  path = epath.Path(samples_dir).absolute()
  if not _SAMPLES.fullmatch(path.name):
    return folders
  scores = read_scores(path.parent / RESULT_FILE)
  if scores is None:  # not scored yet, or another method's
    return folders
  return [folder for folder in folders if folder.name in scores.objects]
