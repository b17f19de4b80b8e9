# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores from files: whole, old, damaged; and the order of objects."""

import json
import math

from fake_run import fake_sample
from fake_scores import fake_evaluation, score
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir import scores as score_files


def read(tmp_path, tree):
  path = tmp_path / "evaluation.json"
  path.write_text(json.dumps(tree))
  return score_files.read_scores(path)


def test_what_is_written_is_read(tmp_path):
  samples = [fake_sample(f"o{i}", num_views=3) for i in range(2)]
  scores = read(tmp_path, fake_evaluation(samples))
  assert scores.subject == "model" and scores.num_objects == 2
  assert scores.num_images == 4
  assert scores.rows["best of 4"] == score(23.25)
  assert scores.standard_errors["model"]["psnr_u8"] == 0.31
  assert scores.intervals["model"]["psnr_u8"] == (20.75, 22.25)
  assert scores.objects["o1"].rows["model"] == score(21.0)
  assert scores.objects["o1"].views[2] == score(20.2)
  assert scores.protocol["name"] == "srn-v1"


def test_a_file_of_an_older_version_is_read(tmp_path):
  objects = {"o": {"mean": score(20), "views": [{"view": 3, **score(20)}]}}
  scores = read(tmp_path, {"rows": {"model": score(20)}, "objects": objects})
  assert scores.objects["o"].rows == {"model": score(20)}
  assert not scores.protocol and scores.num_images is None


def test_no_file_is_none_and_no_number_is_absent(tmp_path):
  assert score_files.read_scores(tmp_path / "nothing.json") is None
  row = {"a": None, "b": math.nan, "c": 1, "d": math.inf}
  scores = read(tmp_path, {"rows": {"model": row}})
  assert scores.rows["model"] == {"c": 1.0, "d": math.inf}


@pytest.mark.parametrize(
  ("tree", "message"),
  [
    ([], "must hold a JSON object"),
    ({"rows": []}, '"rows" must be an object'),
    ({"rows": {"model": 3}}, '"rows", "model" must be an object of numbers'),
    ({"rows": {"model": {"psnr": "3"}}}, '"psnr" that is no number'),
    ({"rows": {"model": {"psnr": True}}}, '"psnr" that is no number'),
    ({"standard_errors": {"model": {"psnr": []}}}, "no number"),
    ({"intervals": {"model": {"psnr": [1]}}}, "must be two numbers"),
    ({"intervals": {"model": 1}}, "must be an object"),
    ({"objects": {"o": 1}}, '"objects" must hold objects'),
    ({"objects": {"o": {"views": [1]}}}, '"views" must be an object'),
    ({"objects": {"o": {"views": 1}}}, "must be lists"),
    ({"objects": {"o": {"held_out": ["../x"]}}}, "indices of views"),
    ({"objects": {"o": {"held_out": [-1]}}}, "indices of views"),
    ({"protocol": "srn-v1"}, '"protocol" must be an object'),
  ],
)
def test_a_wrong_part_is_named(tmp_path, tree, message):
  with pytest.raises(UserError) as error:
    read(tmp_path, tree)
  assert "evaluation.json" in str(error.value) and message in str(error.value)


@pytest.mark.parametrize(
  ("psnr", "expected"),
  [
    ([3, 1, 2], [("best", "o0"), ("median", "o2"), ("worst", "o1")]),
    ([1, 2, 3, 4, 5], [("best", "o4"), ("median", "o2"), ("worst", "o0")]),
    ([3, None, 4, 1], [("best", "o2"), ("median", "o3"), ("worst", "o1")]),
    ([1, 2], [("best", "o1"), ("worst", "o0")]),
    ([1], [("best", "o0")]),
    ([], []),
  ],
)
def test_best_median_and_worst(tmp_path, psnr, expected):
  objects = {
    f"o{i}": {"rows": {"model": {"psnr_u8": value}}}
    for i, value in enumerate(psnr)
  }
  scores = read(tmp_path, {"rows": {"model": {}}, "objects": objects})
  ids = score_files.ranked(scores, "psnr_u8")
  assert score_files.best_median_worst(ids) == expected
