# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""launch/recipes.py: what it runs, and the table."""

import json
from types import SimpleNamespace

from programs import finish, start
import pytest
import recipes


def run(*args) -> tuple[int, str]:
  return finish(start(["launch/recipes.py", *args]))


def test_dry_run_trains_and_evaluates_in_turn(tmp_path):
  args = ["--config=configs/quickstart.py", f"--root={tmp_path / 'root'}"]
  args += ["--examples=32,64", "--dry-run", "--config.seed=3"]
  code, output = run(*args)
  assert code == 0, output
  lines = output.splitlines()
  assert len(lines) == 4 * len(recipes.RECIPES)
  assert all("--config.seed=3" in line for line in lines)
  assert all("--config.train.init_from= " in line for line in lines)
  for i, line in enumerate(lines):
    assert f"--mode={['train', 'evaluate'][i % 2]}" in line
    assert f"num_examples={[32, 64][i // 2 % 2]}" in line
  # Training goes on in one folder; every evaluation has its own.
  folders = [line.partition("--workdir=")[2].split()[0] for line in lines]
  assert folders[0] == folders[2] and len(set(folders)) == 3 * len(lines) // 4
  assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("examples", ["64,32", "0,32", "many", ""])
def test_examples_must_rise(tmp_path, examples):
  args = ["--config=configs/quickstart.py", f"--root={tmp_path}"]
  code, output = run(*args, f"--examples={examples}")
  assert code == 2 and "--examples" in output


def test_table(tmp_path):
  examples = [100, 200]
  for i, recipe in enumerate(recipes.RECIPES):
    for j, count in enumerate(examples):
      folder = tmp_path / f"{recipes.folder_name(recipe)}_{count}"
      folder.mkdir()
      rows = {"model": {"psnr_u8": 8.0 + i + j}, "mean image": {"psnr_u8": 9.5}}
      (folder / "evaluation.json").write_text(json.dumps({"rows": rows}))
  args = SimpleNamespace(root=tmp_path, examples=examples)
  text = recipes.write_results(args).splitlines()
  assert text[0] == "| recipe | 100 | 200 |"
  assert text[2] == "| paper | 8 | 9 |"
  assert text[3] == "| larger rate | 9 | 10 |"
  assert text[-1] == "| mean image | 9.5 | 9.5 |"
  rows = json.loads((tmp_path / "recipes.json").read_text())
  assert rows[0]["100"] == 8.0
