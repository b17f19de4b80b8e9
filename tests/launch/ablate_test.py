# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""launch/ablate.py: what it runs, what it skips, and the table."""

import functools
import json
import os
import pathlib
import subprocess
import sys

import ablate
import claims
from launch_program import REPO
from launch_program import run as run_program
import pytest

from threedim_jax.workdir.samples import list_complete

run = functools.partial(run_program, "ablate.py")


def test_dry_run_names_every_command(tmp_path):
  root = tmp_path / "root"
  result = run(
    "--config=configs/shapes.py:debug",
    f"--root={root}",
    "--dry-run",
    "--config.seed=3",
  )
  assert result.returncode == 0, result.stderr
  lines = result.stdout.splitlines()
  # Three networks are trained; five systems are evaluated and scored.
  count = lambda word: sum(word in line for line in lines)
  assert len(lines) == 13 and count("--mode=train") == 3
  assert count("--mode=evaluate") == count("--mode=score") == 5
  assert count("--config.seed=3") == 8
  assert count("--config.train.init_from= ") == 8, "nobody has a head start"
  assert count("configs/shapes.py:debug,concat") == 2
  assert count("configs/shapes.py:debug,regression") == 2
  assert count("--config.sampler.conditioning=last") == 1
  assert not root.exists()


def test_a_wrong_argument_is_named(tmp_path):
  result = run("--config=configs/shapes.py", f"--root={tmp_path}", "--stpes=1")
  assert result.returncode == 2 and "'--stpes=1'" in result.stderr


def made_up_results(root: pathlib.Path) -> None:
  for i, system in enumerate(ablate.SYSTEMS):
    folder = root / system.name
    (folder / "consistency").mkdir(parents=True)
    metrics = {"psnr_u8": 10.0 + i, "ssim_skimage7": 0.5}
    rows = {"model": metrics, "copy input": {"psnr_u8": 3.0}, "mean image": {}}
    (folder / "evaluation.json").write_text(
      json.dumps({"rows": rows, "num_views": 4})
    )
    rows = {"generated": {"psnr_u8": 20.0 + i}, "ground truth": {"psnr_u8": 33}}
    (folder / "consistency" / "consistency.json").write_text(
      json.dumps({"rows": rows})
    )
    (folder / "timings.json").write_text('{"evaluate": 6.0}')


def test_table_takes_each_number_from_its_place(tmp_path, monkeypatch):
  monkeypatch.setattr(ablate, "num_parameters", lambda folder: 2_500_000)
  made_up_results(tmp_path)
  rows = ablate.table(tmp_path)
  assert [row["system"] for row in rows[:5]] == [
    system.title for system in ablate.SYSTEMS
  ]
  for i, row in enumerate(rows[:5]):
    assert row["PSNR"] == 10.0 + i and row["consistency PSNR"] == 20.0 + i
    assert row["s/view"] == 1.5 and row["M parameters"] == 2.5
  assert rows[5] == {"system": "copy the input view", "PSNR": 3.0}
  assert rows[7] == {"system": "ground truth", "consistency PSNR": 33}
  text = ablate.markdown(rows).splitlines()
  assert text[2].startswith("| 3DiM, stochastic conditioning | 10 | 0.5 |")
  assert {line.count("|") for line in text} == {9}


def with_objects(path: pathlib.Path, row: str, values, **pooled) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  objects = {
    str(i): {"rows": {row: {"psnr_u8": value}}}
    for i, value in enumerate(values)
  }
  mean = {"psnr_u8": sum(values) / len(values)}
  content = {"rows": {row: mean | pooled}, "objects": objects}
  path.write_text(json.dumps(content))


def test_claims_are_decided_by_paired_differences(tmp_path):
  """Objects differ by far more than the systems, always in the same way."""
  psnr = {
    "3dim": [10.0, 20.0, 30.0],
    "concat": [9.0, 18.9, 29.1],  # 1.0, 1.1, 0.9 less
    "regression": [10.5, 19.0, 31.0],  # now more, now less
  }
  distance = {"3dim": 50.0, "concat": 60.0, "regression": 40.0}
  consistency = {"3dim": [18.0, 19.0, 20.0], "naive": [19.0, 20.1, 20.9]}
  for name, values in psnr.items():
    path = tmp_path / name / "evaluation.json"
    with_objects(path, "model", values, fd_effnetlite0=distance[name])
  for name, values in consistency.items():
    path = tmp_path / name / "consistency" / "consistency.json"
    with_objects(path, "generated", values)
  rows = claims.verdicts(tmp_path)
  expected = ["holds", "holds", "fails", "open", "fails"]
  assert [row["verdict"] for row in rows] == expected
  assert rows[0]["difference"] == pytest.approx(1.0)
  assert rows[0]["standard_error"] == pytest.approx(0.1 / 3**0.5)
  assert rows[1]["standard_error"] is None
  assert "| +1 ± 0.058 | holds |" in claims.markdown(rows)


def test_a_claim_without_its_number_is_left_out(tmp_path):
  for name in ("3dim", "concat", "regression"):
    with_objects(tmp_path / name / "evaluation.json", "model", [1.0, 2.0])
  for name in ("3dim", "naive"):
    path = tmp_path / name / "consistency" / "consistency.json"
    with_objects(path, "generated", [1.0, 2.0])
  texts = [row["claim"] for row in claims.verdicts(tmp_path)]
  assert len(texts) == 3 and not any("Frechet" in text for text in texts)


def test_what_is_finished_is_not_run_again(tmp_path, monkeypatch):
  """The third command fails: the exit code is its own, two are not repeated."""
  ran = []

  class Result:
    returncode = 0

  def fake_run(argv, env):
    ran.append(argv[-1])
    result = Result()
    result.returncode = 75 if len(ran) == 3 else 0
    return result

  monkeypatch.setattr(ablate.subprocess, "run", fake_run)
  todo = [
    ablate.Command(ablate.SYSTEMS[0], "train", [f"--number={i}"])
    for i in range(4)
  ]
  assert ablate.run_all(todo, tmp_path) == 75
  assert ablate.run_all(todo, tmp_path) == 0
  assert ran == [f"--number={i}" for i in (0, 1, 2, 2, 3)]


@pytest.mark.slow
def test_all_systems_for_seconds(tmp_path):
  """Every command of a run on made-up data, the table and the picture."""
  data_dir = tmp_path / "data"
  build = [REPO / "datasets" / "build.py", "shapes", "--config", "debug"]
  build += ["--data_dir", data_dir, "--num_test_views", "9"]
  environment = os.environ | {"PYTHONPATH": str(REPO)}
  subprocess.run([sys.executable, *build], check=True, env=environment)
  root = tmp_path / "root"
  args = [
    "--config=configs/quickstart.py:debug",
    f"--root={root}",
    "--score_steps=2",
    f"--config.data.data_dir={data_dir}",
    "--config.evaluate.num_views=0",
  ]
  result = run(*args)
  assert result.returncode == 0, result.stdout + result.stderr
  content = json.loads((root / "table.json").read_text())
  rows = content["systems"]
  assert len(content["claims"]) >= 3
  for row in rows[:5]:
    assert {"PSNR", "consistency PSNR", "s/view"} < set(row), row
  # The naive sampler has the weights of 3DiM, not its pictures.
  assert rows[0]["M parameters"] == rows[1]["M parameters"]
  assert rows[0]["PSNR"] != rows[1]["PSNR"]
  assert (root / "views.png").exists()
  assert len(list_complete(root / "concat" / "evaluate")) == 1
  again = run(*args)
  assert again.returncode == 0 and "--mode" not in again.stdout
