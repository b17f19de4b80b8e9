# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""launch/ablate.py: what it runs, what it skips, and the tables."""

import json
import os
import pathlib
import subprocess
import sys
from types import SimpleNamespace

import ablate
from programs import REPO, finish, start
import pytest


def run(*args) -> tuple[int, str]:
  return finish(start(["launch/ablate.py", *args]), timeout=1200)


def test_dry_run_names_every_command(tmp_path):
  root = tmp_path / "root"
  args = ["--config=configs/shapes.py:debug", f"--root={root}", "--dry-run"]
  both = ["--protocols", "consistency-v1", "consistency-3dim"]
  code, output = run(*args, *both, "--config.seed=3")
  assert code == 0, output
  lines = output.splitlines()
  # Three networks are trained; five systems are evaluated and scored twice.
  count = lambda word: sum(word in line for line in lines)
  assert len(lines) == 18 and count("--mode=train") == 3
  assert count("--mode=evaluate") == 5 and count("--mode=score") == 10
  assert count("--protocol=consistency-3dim") == 5
  assert count("--config.seed=3") == 8
  assert count("--config.train.init_from= ") == 8, "nobody has a head start"
  assert count("configs/shapes.py:debug,concat") == 2
  assert count("configs/shapes.py:debug,regression") == 2
  assert count("--config.sampler.conditioning=last") == 1
  assert not root.exists()


def test_a_wrong_argument_is_named(tmp_path):
  args = ["--config=configs/shapes.py", f"--root={tmp_path}"]
  code, output = run(*args, "--stpes=1")
  assert code == 2 and "'--stpes=1'" in output


def write_scores(path: pathlib.Path, row: str, psnr, **pooled) -> None:
  """A file of scores whose objects have these PSNRs."""
  path.parent.mkdir(parents=True, exist_ok=True)
  objects = {
    str(i): {"rows": {row: {"psnr_u8": value}}} for i, value in enumerate(psnr)
  }
  rows = {row: {"psnr_u8": sum(psnr) / len(psnr)} | pooled}
  rows |= {"copy input": {"psnr_u8": 3.0}, "ground truth": {"psnr_u8": 33.0}}
  content = {"rows": rows, "objects": objects, "num_views": 4}
  path.write_text(json.dumps(content))


@pytest.fixture
def scored(tmp_path):
  """Objects differ by far more than the systems, always in the same way."""
  psnr = {
    "3dim": [10.0, 20.0, 30.0],
    "naive": [9.0, 18.9, 29.1],  # 1.0, 1.1, 0.9 less
    "autoregressive": [1.0, 2.0, 3.0],
    "concat": [10.5, 19.0, 31.0],  # now more, now less
    "regression": [11.0, 21.1, 30.9],
  }
  distance = {"3dim": 50.0, "naive": 40.0, "concat": 60.0, "regression": 45.0}
  for name, values in psnr.items():
    folder = tmp_path / name
    pooled = {"ssim_gauss11": 0.5} if name == "3dim" else {}
    if name in distance:
      pooled["fd_effnetlite0"] = distance[name]
    write_scores(folder / "evaluation.json", "model", values, **pooled)
    path = folder / "consistency-v1" / "consistency.json"
    write_scores(path, "generated", [2 * x for x in values])
    (folder / "timings.json").write_text('{"evaluate": 6.0}')
  return tmp_path


def test_table_takes_each_number_from_its_place(scored, monkeypatch):
  monkeypatch.setattr(ablate, "write_picture", lambda root: None)
  text = ablate.write_results(SimpleNamespace(root=scored)).splitlines()
  assert text[0] == (
    "| system | PSNR | SSIM (gauss11) | fd_effnetlite0"
    " | consistency-v1 PSNR | s/view |"
  )
  assert (
    text[2] == "| 3DiM, stochastic conditioning | 20 | 0.5 | 50 | 40 | 1.5 |"
  )
  assert text[7] == "| copy the input view | 3 |  |  |  |  |"
  assert text[9] == "| ground truth |  |  |  | 33 |  |"
  content = json.loads((scored / "table.json").read_text())
  assert content["systems"] == ablate.table(scored)
  assert (scored / "table.md").read_text().splitlines() == text


def test_claims_have_the_papers_direction_and_paired_errors(scored):
  """Those with a metric that is missing (SSIM of Concat-UNet) are left out."""
  rows = ablate.verdicts(scored)
  assert {row["claim"]: row["here"] for row in rows} == {
    "PSNR: first view only above stochastic conditioning": "fails",
    "fd_effnetlite0: first view only below stochastic conditioning": "holds",
    "consistency-v1 PSNR: stochastic conditioning above first view only": (
      "holds"
    ),
    "PSNR: stochastic conditioning above Concat-UNet": "open",
    "fd_effnetlite0: stochastic conditioning below Concat-UNet": "holds",
    "PSNR: regression above stochastic conditioning": "holds",
    "PSNR: first view only above regression (cars; the reverse on chairs*)": (
      "as on chairs*"
    ),
    "fd_effnetlite0: stochastic conditioning below regression": "fails",
    "fd_effnetlite0: first view only below regression": "holds",
  }
  assert rows[0]["difference"] == pytest.approx(-1.0)
  assert rows[0]["standard error"] == pytest.approx(0.1 / 3**0.5)
  assert rows[1]["standard error"] is None


def test_the_time_left_follows_from_what_the_same_modes_took():
  command = lambda system, *args: ablate.Command(ablate.SYSTEMS[system], args)
  todo = [
    command(0, "--mode=train", "--workdir=a"),
    command(0, "--mode=score", "--protocol=consistency-v1"),
    command(0, "--mode=score", "--protocol=consistency-3dim"),
    command(3, "--mode=train", "--workdir=b"),
    command(3, "--mode=score", "--protocol=consistency-v1", "--workdir=b"),
    command(4, "--mode=train", "--workdir=c"),
    command(4, "--mode=score", "--protocol=consistency-3dim", "--workdir=c"),
  ]
  took = {str(todo[0]): 3600.0}
  assert ablate.time_left(todo, {}) == ""
  assert ablate.time_left(todo, took) == (
    "about 2 h 00 min more: 2 x score consistency-v1 not timed yet, 2 x score"
    " consistency-3dim not timed yet, 2 x train at 1 h 00 min"
  )
  took |= {str(todo[1]): 30.0, str(todo[2]): 600.0, str(todo[3]): 1800.0}
  assert ablate.time_left(todo, took) == (
    "about 55 min 30 s more: 1 x score consistency-v1 at 30.0 s, 1 x train at"
    " 45 min 00 s, 1 x score consistency-3dim at 10 min 00 s"
  )


def test_what_is_finished_is_not_run_again(tmp_path, monkeypatch, capsys):
  """The third command fails: the exit code is its own, two are not repeated."""
  ran = []

  def fake_run(argv, env):
    ran.append(argv[-1])
    return SimpleNamespace(returncode=75 if len(ran) == 3 else 0)

  monkeypatch.setattr(ablate.subprocess, "run", fake_run)
  todo = [
    ablate.Command(ablate.SYSTEMS[0], [f"--number={i}"]) for i in range(4)
  ]
  assert ablate.run_all(todo, tmp_path) == 75
  assert ablate.run_all(todo, tmp_path) == 0
  assert ran == [f"--number={i}" for i in (0, 1, 2, 2, 3)]
  lines = capsys.readouterr().out.splitlines()
  assert sum(line.startswith("about ") for line in lines) == 4


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
  code, output = run(*args)
  assert code == 0, output
  content = json.loads((root / "table.json").read_text())
  rows = content["systems"]
  assert len(content["claims"]) >= 3
  for row in rows[:5]:
    assert {"PSNR", "consistency-v1 PSNR", "s/view"} < set(row), row
  # The naive sampler has the weights of 3DiM, not its pictures.
  assert (root / "naive" / "checkpoints").samefile(root / "3dim/checkpoints")
  assert rows[0]["PSNR"] != rows[1]["PSNR"]
  assert (root / "views.png").exists()
  code, output = run(*args)
  assert code == 0 and "--mode" not in output
