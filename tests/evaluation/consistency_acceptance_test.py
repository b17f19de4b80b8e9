# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Does the score behave as one? Views that agree, and ways to spoil them.

The more the views of an exactly known scene are spoiled, the lower all columns
must be. One picture for every pose, and pictures at each other's poses, must
score far below.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

REPO = pathlib.Path(__file__).parents[2]
# PSNR of the clean views at least; cost in dB at least of: hue 0.1, pose 5,
# the first step of a series, a later one, identical and shuffled views.
# consistency-3dim sees views of 12 pixels for a few steps, so that a test can
# afford it.
LIMITS = {
  "consistency-v1": (32.0, 4.0, 3.5, 0.7, 1.5, 12.0),
  "consistency-3dim": (23.0, 0.7, 1.5, 0.0, 0.5, 6.0),
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=list(LIMITS))
def scored(request, tmp_path_factory):
  """(rows by name, limits) of one protocol."""
  out = tmp_path_factory.mktemp("rows") / "rows.json"
  script = REPO / "tests/support/acceptance_rows.py"
  subprocess.run(
    [sys.executable, script, out, request.param],
    check=True,
    env={**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(REPO)},
  )
  return json.loads(out.read_text()), LIMITS[request.param]


def cost(rows, name: str) -> float:
  return rows["clean"]["psnr_u8"] - rows[name]["psnr_u8"]


def test_views_that_agree_score_high(scored):
  rows, (clean, *_) = scored
  assert rows["clean"]["psnr_u8"] >= clean
  assert rows["clean"]["psnr_fg_u8"] >= clean - 7.0
  assert rows["clean"]["ssim_skimage7"] >= (0.98 if clean > 30 else 0.9)


def test_colours_that_disagree_cost(scored):
  rows, (_, hue, *_) = scored
  assert cost(rows, "hue 0.1") >= hue


def test_shapes_that_disagree_cost(scored):
  rows, (_, _, pose, *_) = scored
  assert cost(rows, "pose 5") >= pose


@pytest.mark.parametrize(
  "metric", ["psnr_u8", "psnr_fg_u8", "ssim_gauss11", "ssim_skimage7"]
)
@pytest.mark.parametrize(
  "names",
  [
    ["clean", "hue 0.03", "hue 0.1", "hue 0.3"],
    ["clean", "pose 2", "pose 5", "pose 15"],
  ],
  ids=["hue", "pose"],
)
def test_the_order_is_strict(scored, names, metric):
  rows, (_, _, _, least_first, least_later, _) = scored
  if least_first == 0.0:  # of 12 pixels: 2 degrees move nothing by a pixel
    names = [name for name in names if name != "pose 2"]
  values = [rows[name][metric] for name in names]
  assert values == sorted(values, reverse=True)
  if metric == "psnr_u8":
    first, *later = -np.diff(values)
    assert first >= least_first
    assert min(later) >= least_later


def test_one_picture_for_every_pose_does_not_pass(scored):
  """It agrees with itself perfectly, and shows no solid thing."""
  rows, (*_, far) = scored
  assert cost(rows, "identical") >= far
  assert rows["identical"]["ssim_skimage7"] <= 0.80


def test_pictures_at_each_others_poses_do_not_pass(scored):
  rows, (*_, far) = scored
  assert cost(rows, "shuffled") >= far
