# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the files and folders that `--mode=evaluate` writes.

  evaluation.json         the scores of all objects and of each object
  evaluate/<object>/      the views, in the format of `workdir.samples`
  evaluate_1/<object>/    the same views, sampled a second time, and so on

  for folder in list_finished("W/evaluate"): ...  # W is the workdir

An earlier evaluation may have left other objects' folders in the workdir.
evaluation.json lists the objects that its scores are for.
"""

import re

from etils import epath

from threedim_jax.runtime.disk import absolute
from threedim_jax.workdir import samples
from threedim_jax.workdir.scores import read_scores

RESULT_FILE = "evaluation.json"
FIRST_SAMPLES = "evaluate"


def samples_dir(workdir: epath.Path, sample: int) -> epath.Path:
  """Returns the folder for one round of sampling.

  An evaluation may sample every view several times, once per round. `sample` is
  the number of the round, from 0.
  """
  return workdir / (f"{FIRST_SAMPLES}_{sample}" if sample else FIRST_SAMPLES)


def list_finished(parent: epath.PathLike) -> list[epath.Path]:
  """Lists the finished folders of samples in `parent`, one for each object.

  If `parent` belongs to an evaluation that has been scored, only objects that
  evaluation.json lists are included.

  Raises:
    UserError: evaluation.json is damaged.
  """
  folders = samples.list_complete(parent)
  parent = absolute(parent)
  if not re.fullmatch(FIRST_SAMPLES + r"(_\d+)?", parent.name):
    return folders
  scores = read_scores(parent.parent / RESULT_FILE)
  if scores is None:  # not scored yet, or samples of another method
    return folders
  return [folder for folder in folders if folder.name in scores.objects]
