# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores from files: whole, old, damaged; and the order of objects."""

import json
import math

from fake_run import fake_sample
from fake_scores import fake_evaluation, score
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.scores import ranked, read_scores


def read(tmp_path, tree):
  path = tmp_path / "evaluation.json"
  path.write_text(json.dumps(tree))
  return read_scores(path)


def test_what_is_written_is_read(tmp_path):
  samples = [fake_sample(f"o{i}", num_views=3) for i in range(2)]
  scores = read(tmp_path, fake_evaluation(samples))
  assert scores.subject == "model" and scores.num_objects == 2
  assert scores.num_images == 4
  assert scores.rows["best of 4"] == score(23.25)
  assert scores.standard_errors["model"]["psnr_u8"] == 0.31
  assert scores.intervals["model"]["psnr_u8"] == [20.75, 22.25]
  assert scores.objects["o1"].rows["model"] == score(21.0)
  assert scores.objects["o1"].views[2] == score(20.2)
  assert scores.protocol["name"] == "srn-v1"


def test_a_file_of_an_older_version_is_read(tmp_path):
  objects = {"o": {"mean": score(20), "views": [{"view": 3, **score(20)}]}}
  scores = read(tmp_path, {"rows": {"model": score(20)}, "objects": objects})
  assert scores.objects["o"].rows == {"model": score(20)}
  assert not scores.protocol and scores.num_images is None


def test_no_file_is_none_and_no_number_is_absent(tmp_path):
  assert read_scores(tmp_path / "nothing.json") is None
  row = {"a": None, "b": math.nan, "c": 1, "d": math.inf}
  scores = read(tmp_path, {"rows": {"model": row}})
  assert scores.rows["model"] == {"c": 1.0, "d": math.inf}


@pytest.mark.parametrize(
  "tree",
  [
    [],
    {"rows": []},
    {"rows": {"model": {"psnr": "3"}}},
    {"objects": {"o": 1}},
  ],
)
def test_a_foreign_file_is_named(tmp_path, tree):
  with pytest.raises(
    UserError, match="(?s)evaluation.json .*run that mode again"
  ):
    read(tmp_path, tree)


@pytest.mark.parametrize(
  ("psnr", "expected"),
  [([3, 1, 2], "o0 o2 o1"), ([3, None, 4], "o2 o0 o1"), ([1, 1], "o0 o1")],
)
def test_objects_are_ranked_and_those_without_a_number_come_last(
  tmp_path, psnr, expected
):
  objects = {
    f"o{i}": {"rows": {"model": {"psnr_u8": value}}}
    for i, value in enumerate(psnr)
  }
  scores = read(tmp_path, {"rows": {"model": {}}, "objects": objects})
  assert ranked(scores, "psnr_u8") == expected.split()
