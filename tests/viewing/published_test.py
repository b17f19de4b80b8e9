# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The papers' numbers, and which of them a report shows."""

import json
import re

import pytest

from threedim_jax.viewing import published
from threedim_jax.workdir.run import read_run

ROWS = {"model": {"psnr_u8": 21.5, "ssim_gauss11": 0.754, "fid": 12.5}}


@pytest.fixture
def blocks(tmp_path):
  """Returns the blocks of a run with such data and such files of scores."""

  def write(name, tree):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(tree))

  def make(name, config, size=128, **files):
    data = {"name": name, "config": config, "resolution": size}
    write("config.json", {"data": data})
    if "evaluation" in files:
      write("evaluation.json", files["evaluation"])
      write("samples_consistency/consistency.json", files["consistency"])
    return published.published_blocks(read_run(tmp_path))

  return make


def rows_of(card) -> list[list[str]]:
  return [[cell.text for cell in row] for row in card.blocks[0].rows]


def test_every_row_is_complete_and_plausible():
  rows = published.read_published()
  for row in rows:
    assert row["split"] in published.SPLITS.values() and row["table"], row
    assert f"{row['source']}:" in published.CITATIONS
    kernels = ("gauss11", "other", "not stated") if row["ssim"] else ("",)
    assert row["ssim_kernel"] in kernels
    ranges = (("psnr", 10, 30), ("ssim", 0.4, 1), ("fid", 1, 120))
    for metric, low, high in ranges:
      assert not row[metric] or low < float(row[metric]) < high, row
  keys = [(r["table"], r["split"], r["system"]) for r in rows]
  assert len(set(keys)) == len(keys)


def test_the_papers_claims_hold_in_the_table():
  """Tables 2, 3, 5 and figure 7 were typed: their text checks the typing."""
  rows = {
    (r["split"], r["table"] == published.CONSISTENCY, r["system"]): r
    for r in published.read_published()
    if r["source"] == "3DiM"
  }

  def values(split: str, fields: bool, metric: str, *systems: str):
    return [float(rows[split, fields, s][metric]) for s in systems]

  for split, expected in (("cars", 2.75), ("chairs*", 1.23)):
    systems = ("3DiM, first view only", "3DiM", "3DiM, Concat-UNet")
    for metric, sign in (("psnr", 1), ("fid", -1)):
      first, ours, concat = values(split, False, metric, *systems)
      assert sign * first > sign * ours > sign * concat
    name = "3DiM, 471 M parameters"
    ours, first = values(split, True, "psnr", name, f"{name}, first view only")
    assert ours - first == pytest.approx(expected)
  assert not any(split == "chairs" and fields for split, fields, _ in rows)


@pytest.mark.parametrize(
  ("data", "text"),
  [
    (("srn", "cars", 64), "srn/cars at 64x64."),
    (("srn", "planes", 128), "srn/planes at 128x128."),
    (("shapes", "cars", 128), "shapes/cars at 128x128."),
    ((None, None, None), "is unknown."),
  ],
)
def test_only_the_same_data_compare(blocks, data, text):
  (block,) = blocks(*data)
  assert "No published number compares" in block.text and text in block.text


@pytest.mark.parametrize(
  ("config", "psnr", "fields"),
  [
    ("cars", "21.01", "28.53"),
    ("chairs", "17.05", None),
    ("chairs_resplit", "14.29", "18.84"),
  ],
)
def test_only_the_split_that_was_measured_is_shown(
  blocks, config, psnr, fields
):
  cards = blocks("srn", config)[:-1]
  values = [{row[0]: row[1] for row in rows_of(card)} for card in cards]
  assert values[0]["3DiM"] == psnr
  assert ("SRN" in values[0]) == (config != "chairs_resplit")
  assert len(cards) == 1 + bool(fields)
  assert fields is None or values[1]["3DiM, 471 M parameters"] == fields


@pytest.mark.parametrize(
  ("protocol", "source"),
  [
    ({"name": "srn-v1", "subset": None}, "srn-v1, in full"),
    ({"name": "srn-v1", "subset": "8 of 704 objects"}, "8 of 704 objects"),
    ({}, "not recorded"),
  ],
)
def test_ours_stands_below_the_papers(blocks, protocol, source):
  fields = {"generated": {"psnr_u8": 30.0}, "white image": {}}
  cards = blocks(
    *("srn", "cars"),
    evaluation={"rows": ROWS, "protocol": protocol, "num_views": 55},
    consistency={"rows": fields, "protocol": {"name": "v1"}},
  )
  ours = rows_of(cards[0])[-1]
  assert ours[:-1] == ["this run", "21.50", "0.75", "gauss11", "12.50 (n = 55)"]
  assert re.search(f"measured here: .*{source}", ours[-1])
  assert cards[0].blocks[0].rows[-1][0].style == "ours"
  assert rows_of(cards[1])[-1] == [
    *("this run, samples: generated", "30.00", "-", "-", "-"),
    "measured here: v1",
  ]
