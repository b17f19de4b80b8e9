# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The table of metrics: directions, winners, uncertainty, n."""

import json

import pytest

from threedim_jax.viewing import score_table
from threedim_jax.workdir.scores import read_scores


def table_of(tmp_path, *, objects: int = 2, **tree):
  path = tmp_path / "evaluation.json"
  tree["objects"] = {f"o{i}": {} for i in range(objects)}
  path.write_text(json.dumps(tree))
  return score_table.metrics_table(read_scores(path))


def texts(table, row):
  return [cell.text for cell in table.rows[row]]


def best(table):
  """(row, metric) of every bold number."""
  return {
    (row, column.metric)
    for row, cells in table.rows.items()
    for cell, column in zip(cells, table.columns, strict=True)
    if cell.best
  }


def test_higher_or_lower_wins_and_ceilings_do_not_compete(tmp_path):
  rows = {
    "model": {"psnr_u8": 20.0, "fid": 9.0, "diversity_rmse": 0.1},
    "copy input": {"psnr_u8": 21.0, "fid": 50.0, "diversity_rmse": 0.2},
    "ground truth": {"psnr_u8": 40.0, "fid": 0.0},
    "best of 4": {"psnr_u8": 30.0, "fid": 1.0},
  }
  table = table_of(tmp_path, rows=rows)
  assert best(table) == {("copy input", "psnr_u8"), ("model", "fid")}
  arrows = {c.metric: c.arrow for c in table.columns}
  assert arrows == {"psnr_u8": "↑", "fid": "↓", "diversity_rmse": ""}


def test_a_lonely_row_is_not_the_best(tmp_path):
  rows = {"model": {"psnr_u8": 20.0}, "ground truth": {"psnr_u8": 40.0}}
  assert not best(table_of(tmp_path, rows=rows))


@pytest.mark.parametrize(
  ("metric", "arrow"),
  [
    *(
      (m, "↑") for m in ("psnr", "psnr_fg_u8", "psnr_input_u8", "ssim_gauss11")
    ),
    *((m, "↓") for m in ("fd_effnetlite0", "kd_effnetlite0", "kid", "lpips")),
  ],
)
def test_directions(tmp_path, metric, arrow):
  table = table_of(tmp_path, rows={"model": {metric: 1.0}})
  assert table.columns[0].arrow == arrow


def test_what_was_not_measured_is_a_dash(tmp_path):
  rows = {"model": {"psnr_u8": 20.0}, "other": {"ssim_skimage7": None}}
  assert texts(table_of(tmp_path, rows=rows), "other") == ["-"]
  rows["other"] = {"ssim_skimage7": 0.5}
  table = table_of(tmp_path, rows=rows)
  assert texts(table, "model") == ["20.00 dB", "-"]
  assert texts(table, "other") == ["-", "0.5000"]


def test_numbers_carry_their_uncertainty(tmp_path):
  tree = {
    "rows": {"model": {"psnr_u8": 20.0, "ssim_skimage7": 0.5}},
    "standard_errors": {"model": {"psnr_u8": 0.256, "ssim_skimage7": 0.0123}},
    "intervals": {"model": {"psnr_u8": [19.5, 20.456]}},
  }
  table = table_of(tmp_path, **tree)
  assert texts(table, "model") == ["20.00 ± 0.26 dB", "0.5000 ± 0.012"]
  cells = table.rows["model"]
  assert [c.interval for c in cells] == ["95 %: 19.50 to 20.46", ""]
  assert table.has_errors and table.has_intervals
  # One object does not say how much objects differ.
  table = table_of(tmp_path, objects=1, **tree)
  assert texts(table, "model") == ["20.00 dB", "0.5000"]
  assert not table.has_errors and not table.has_intervals


def test_the_error_of_a_distance_is_no_metric_of_its_own(tmp_path):
  rows = {"model": {"kid": 0.0425, "kid_se": 0.0031, "psnr_se": 1.0}}
  table = table_of(tmp_path, rows=rows)
  assert [c.metric for c in table.columns] == ["kid", "psnr_se"]
  assert texts(table, "model") == ["0.0425 ± 0.0031", "1.00 dB"]


def test_only_numbers_of_a_set_show_n(tmp_path):
  rows = {"model": {"psnr_u8": 20.0, "fd_effnetlite0": 88.0, "fid": 9.0}}
  table = table_of(tmp_path, rows=rows, num_views=16)
  assert [c.num_images for c in table.columns] == [None, 16, 16]
  assert table.has_set_metrics


def test_variants_stand_in_the_heads(tmp_path):
  rows = {"model": {"psnr_u8": 20.0, "ssim_gauss11": 0.5, "fid": 1.0}}
  variants = {"psnr_u8": "8-bit", "ssim": "of a family"}
  table = table_of(tmp_path, rows=rows, variants=variants)
  assert [c.variant for c in table.columns] == ["8-bit", "of a family", ""]


def test_remarks_travel_with_the_table(tmp_path):
  """Why a distance is missing must reach the reader."""
  rows = {"model": {"psnr_u8": 1.0}}
  table = table_of(tmp_path, rows=rows, remarks=["fid is left out"])
  assert table.remarks == ("fid is left out",)
  assert table_of(tmp_path, rows=rows).remarks == ()
