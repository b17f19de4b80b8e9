# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The papers' numbers, and which of them a report shows."""

import re

from etils import epath
import pytest

from threedim_jax.viewing import published
from threedim_jax.workdir.run import Run
from threedim_jax.workdir.scores import Scores

ROWS = {"model": {"psnr_u8": 21.5, "ssim_gauss11": 0.754, "fid": 12.5}}


def scores(rows, **protocol) -> Scores:
  return Scores(
    **dict.fromkeys(
      ("provenance", "variants", "standard_errors", "intervals", "objects"), {}
    ),
    protocol=protocol,
    remarks=(),
    rows=rows,
    num_images=55,
  )


def blocks(name, config, size=128, *, evaluation=None, consistency=()):
  run = Run(
    workdir=epath.Path(),
    config={"data": {"name": name, "config": config, "resolution": size}},
    metrics={},
    timings={},
    evaluation=evaluation,
    consistency=dict(consistency),
    folders=[],
    grids=[],
  )
  return published.published_blocks(run)


def rows_of(card) -> list[list[str]]:
  return [[cell.text for cell in row] for row in card.blocks[0].rows]


def test_every_row_is_complete_and_plausible():
  rows = published.read_published()
  for row in rows:
    assert row["split"] in published.SPLITS.values() and row["table"], row
    assert f"{row['source']}:" in published.CITATIONS
    assert (
      row["ssim_kernel"]
      in ("gauss11", "other", "not stated")[: 3 * bool(row["ssim"])]
      or not row["ssim"] + row["ssim_kernel"]
    )
    for metric, low, high in (
      *(("psnr", 10, 30), ("ssim", 0.4, 1), ("fid", 1, 120)),
    ):
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
def test_only_the_same_data_compare(data, text):
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
def test_only_the_split_that_was_measured_is_shown(config, psnr, fields):
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
def test_ours_stands_below_the_papers(protocol, source):
  fields = scores(
    {"generated": {"psnr_u8": 30.0}, "white image": {}}, name="v1"
  )
  cards = blocks(
    *("srn", "cars"),
    evaluation=scores(ROWS, **protocol),
    consistency={"samples": fields},
  )
  ours = rows_of(cards[0])[-1]
  assert ours[:-1] == ["this run", "21.50", "0.75", "gauss11", "12.50 (n = 55)"]
  assert re.search(f"measured here: .*{source}", ours[-1])
  assert cards[0].blocks[0].rows[-1][0].style == "ours"
  assert rows_of(cards[1])[-1] == [
    *("this run, samples: generated", "30.00", "-", "-", "-"),
    "measured here: v1",
  ]
