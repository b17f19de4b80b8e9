# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The table of scores: directions, winners, uncertainty, n."""

import json

from threedim_jax.viewing import tables
from threedim_jax.workdir.scores import read_scores


def read(tmp_path, *, objects: int = 2, **tree):
  path = tmp_path / "evaluation.json"
  tree["objects"] = {f"o{i}": {} for i in range(objects)}
  path.write_text(json.dumps(tree))
  return read_scores(path)


def table_of(tmp_path, **tree) -> tuple[dict, dict]:
  """(heads by metric, cells by row and metric)."""
  table = tables.score_table(read(tmp_path, **tree))
  names = [head.text.split("\u00a0")[0] for head in table.heads[1:]]
  return dict(zip(names, table.heads[1:], strict=True)), {
    row[0].text: dict(zip(names, row[1:], strict=True)) for row in table.rows
  }


def test_higher_or_lower_wins_and_ceilings_do_not_compete(tmp_path):
  rows = {
    "model": {"psnr_u8": 20.0, "fid": 9.0, "diversity_rmse": 0.1},
    "copy input": {"psnr_u8": 21.0, "fid": 50.0, "diversity_rmse": 0.2},
    "ground truth": {"psnr_u8": 40.0, "fid": 0.0},
    "best of 4": {"psnr_u8": 30.0, "fid": 1.0},
  }
  best = lambda rows: {
    (row, metric)
    for row, cells in table_of(tmp_path, rows=rows)[1].items()
    for metric, cell in cells.items()
    if cell.style == "best"
  }
  assert best(rows) == {("copy input", "psnr_u8"), ("model", "fid")}
  del rows["copy input"]  # a lonely row is not the best
  assert not best(rows)


def test_cells_and_heads_by_hand(tmp_path):
  """Directions, variants, n, units, uncertainty; a dash if not measured."""
  tree = {
    "rows": {
      "model": {"psnr_u8": 20.0, "kid": 0.0425, "kid_se": 0.0031},
      "other": {"psnr_u8": None, "ssim_gauss11": 0.5, "diversity_rmse": 0.1},
    },
    "standard_errors": {"model": {"psnr_u8": 0.256}},
    "intervals": {"model": {"psnr_u8": [19.5, 20.456]}},
    "variants": {"psnr_u8": "8-bit", "ssim": "of a family"},
    "num_views": 16,
  }
  heads, cells = table_of(tmp_path, **tree)
  assert [(h.text, h.small) for h in heads.values()] == [
    ("psnr_u8\u00a0↑", "8-bit"),
    ("kid\u00a0↓", "n = 16"),
    ("ssim_gauss11\u00a0↑", "of a family"),
    ("diversity_rmse", ""),
  ]
  assert [(c.text, c.small) for c in cells["model"].values()] == [
    ("20.00 ± 0.26 dB", "95 %: 19.50 to 20.46"),
    ("0.0425 ± 0.0031", ""),
    *[("-", "")] * 2,
  ]
  texts = [c.text for c in cells["other"].values()]
  assert texts == ["-", "-", "0.5000", "0.1"]
  # One object does not say how much objects differ.
  _, cells = table_of(tmp_path, objects=1, **tree)
  assert cells["model"]["psnr_u8"] == ("20.00 dB", "", "", None)


def test_scores_can_be_printed(tmp_path, capsys):
  """With why a distance is missing; markup of rich is text like any other."""
  rows = {"[red]model": {"psnr_u8": 20.0}, "copy input": {"psnr_u8": 9.0}}
  scores = read(tmp_path, rows=rows, remarks=["fid is left out"])
  tables.print_scores(scores, "Scores")
  lines = [line.split() for line in capsys.readouterr().out.splitlines()]
  assert ["[red]model", "copy", "input"] in lines
  assert ["psnr_u8", "↑", "20.00", "dB", "9.00", "dB"] in lines
  assert ["fid", "is", "left", "out"] in lines
