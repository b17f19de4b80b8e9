# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Does the score behave as one? Views that agree, and ways to spoil them.

The more the views of an exactly known scene are spoiled, the lower all three
columns must be; and the known trick answers, one picture for every pose and
pictures at each other's poses, must score far below.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

REPO = pathlib.Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> dict[str, dict[str, float]]:
  out = tmp_path_factory.mktemp("rows") / "rows.json"
  subprocess.run(
    [sys.executable, REPO / "tests/support/acceptance_rows.py", out],
    check=True,
    env={**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(REPO)},
  )
  return json.loads(out.read_text())


@pytest.fixture(scope="module")
def psnr(rows) -> dict[str, float]:
  return {name: row["psnr_u8"] for name, row in rows.items()}


def test_views_that_agree_score_high(rows):
  assert rows["clean"]["psnr_u8"] >= 32.0
  assert rows["clean"]["psnr_fg_u8"] >= 25.0
  assert rows["clean"]["ssim_skimage7"] >= 0.98


def test_colours_that_disagree_cost(psnr):
  assert psnr["hue 0.1"] <= psnr["clean"] - 4.0


def test_shapes_that_disagree_cost(psnr):
  assert psnr["pose 5"] <= psnr["clean"] - 3.5


@pytest.mark.parametrize("metric", ["psnr_u8", "psnr_fg_u8", "ssim_skimage7"])
@pytest.mark.parametrize(
  "names",
  [
    ["clean", "hue 0.03", "hue 0.1", "hue 0.3"],
    ["clean", "pose 2", "pose 5", "pose 15"],
  ],
  ids=["hue", "pose"],
)
def test_the_order_is_strict(rows, names, metric):
  values = [rows[name][metric] for name in names]
  assert values == sorted(values, reverse=True)
  if metric == "psnr_u8":
    first, *steps = -np.diff(values)
    assert first >= 0.7
    assert min(steps) >= 1.5


def test_one_picture_for_every_pose_does_not_pass(rows):
  """It agrees with itself perfectly, and shows no solid thing."""
  assert rows["identical"]["psnr_u8"] <= rows["clean"]["psnr_u8"] - 12.0
  assert rows["identical"]["ssim_skimage7"] <= 0.80


def test_pictures_at_each_others_poses_do_not_pass(psnr):
  assert psnr["shuffled"] <= psnr["clean"] - 12.0
