# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`configs/paper.md`: every row names code and a test that exist."""

import ast
import pathlib
import re

import pytest

from threedim_jax.viewing.published import read_published

REPO = pathlib.Path(__file__).parents[1]
TEXT, CLAIMS = (
  (REPO / "configs" / "paper.md")
  .read_text()
  .split("## What the paper claims", maxsplit=1)
)
ROWS = [
  [cell.strip() for cell in line.strip("|").split("|")]
  for line in TEXT.splitlines()
  if line.startswith("| ") and not line.startswith(("| paper", "| ---"))
]


def names_in(path: pathlib.Path) -> set[str]:
  """Functions, classes and constants at the top level of a Python file."""
  names = set()
  for node in ast.parse(path.read_text()).body:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
      names.add(node.name)
    elif isinstance(node, ast.Assign):
      names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
      names.add(node.target.id)
  return names


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_row_points_at_code_and_a_test(row):
  assert len(row) == 4, "a row has four cells"
  for cell, folders in (
    (row[1], ("threedim_jax", "configs", "datasets")),
    (row[2], ("tests",)),
  ):
    path, name = re.fullmatch(r"`([\w/]+\.py)::(\w+)`", cell).groups()
    assert path.split("/")[0] in folders
    assert name in names_in(REPO / path)


def test_the_page_covers_every_class_of_the_listing():
  for name in (
    "XUNet", "XUNetBlock", "ResnetBlock", "AttnBlock", "AttnLayer", "FiLM",
    "GroupNorm", "ConditioningProcessor", "posenc_ddpm", "posenc_nerf",
  ):  # fmt: skip
    assert re.search(rf"listing: .*\b{name}\b", TEXT), name


def test_the_claims_state_true_numbers():
  """The paper's are those of published.csv, ours those of benchmarks.md.

  Every "a > b > c" and "a < b" holds.
  """
  rows = re.findall(r"^\| (?!claim|---)(.*) \|$", CLAIMS, re.M)
  assert len(rows) == 10
  published = {
    float(row[metric])
    for row in read_published()
    for metric in ("psnr", "ssim", "fid")
    if row[metric]
  }
  measured = (REPO / "launch" / "benchmarks.md").read_text()
  for row in rows:
    _, paper, here, _ = row.split(" | ")
    for number in re.findall(r"(?<![+\d.])\d*\.\d+", paper):
      assert float(number) in published, number
    for number in re.findall(r"\d*\.\d+", here):
      assert number in measured, number
    for chain in re.findall(r"[\d.]+(?: [<>] [\d.]+)+", f"{paper}, {here}"):
      values = [float(x) for x in re.findall(r"[\d.]+", chain)]
      assert values == sorted(values, reverse=">" in chain), chain
