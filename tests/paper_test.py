# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`configs/paper.md`: every row names code and a test that exist."""

import ast
import pathlib
import re

import pytest

REPO = pathlib.Path(__file__).parents[1]
TEXT = (REPO / "configs" / "paper.md").read_text()
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
