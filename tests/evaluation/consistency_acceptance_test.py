# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The score of 3D consistency for views that agree and views that do not.

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
# The least PSNR of the clean views, and the least cost in dB of what is spoiled
# and of the first and the later steps of a series. consistency-3dim sees views
# of 12 pixels for a few steps, so that a test can afford it.
NAMES = (
  *("clean", "hue 0.1", "pose 5", "identical", "shuffled", "first", "later"),
)
LIMITS = {
  protocol: dict(zip(NAMES, limits, strict=True))
  for protocol, limits in {
    "consistency-v1": (32.0, 4.0, 3.5, 12.0, 12.0, 0.7, 1.5),
    "consistency-3dim": (23.0, 0.7, 1.5, 6.0, 6.0, 0.0, 0.5),
  }.items()
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


def test_views_that_agree_score_high(scored):
  rows, limits = scored
  clean = limits["clean"]
  assert rows["clean"]["psnr_u8"] >= clean
  assert rows["clean"]["psnr_fg_u8"] >= clean - 7.0
  assert rows["clean"]["ssim_skimage7"] >= (0.98 if clean > 30 else 0.9)


@pytest.mark.parametrize("name", NAMES[1:5])
def test_views_that_disagree_cost(scored, name):
  """Colours or shapes; one picture for every pose; pictures at other poses."""
  rows, limits = scored
  cost = rows["clean"]["psnr_u8"] - rows[name]["psnr_u8"]
  assert cost >= limits[name]
  assert name != "identical" or rows[name]["ssim_skimage7"] <= 0.80


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
  rows, limits = scored
  if not limits["first"]:  # of 12 pixels: 2 degrees move nothing by a pixel
    names = [name for name in names if name != "pose 2"]
  values = [rows[name][metric] for name in names]
  assert values == sorted(values, reverse=True)
  if metric == "psnr_u8":
    first, *later = -np.diff(values)
    assert first >= limits["first"]
    assert min(later) >= limits["later"]
