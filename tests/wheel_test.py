# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A wheel, installed away from the repository, does what the README says."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import numpy as np
from PIL import Image
import pytest

REPO = pathlib.Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> pathlib.Path:
  """Built from a copy: setuptools leaves a build/ folder in its source."""
  source = tmp_path_factory.mktemp("source") / "repo"
  shutil.copytree(
    REPO,
    source,
    ignore=shutil.ignore_patterns(".*", "runs", "build", "tests", "*.egg-info"),
  )
  out = tmp_path_factory.mktemp("wheel")
  subprocess.run(
    [
      sys.executable, "-m", "pip", "wheel", "--no-deps", "-q",
      "--no-build-isolation", "-w", out, source,
    ],
    check=True,
  )  # fmt: skip
  (path,) = out.glob("*.whl")
  return path


@pytest.fixture(scope="module")
def run_installed(wheel, tmp_path_factory):
  """run_installed(*args) -> the finished process of the installed program."""
  site = tmp_path_factory.mktemp("site")
  with zipfile.ZipFile(wheel) as archive:
    archive.extractall(site)
  cwd = tmp_path_factory.mktemp("elsewhere")
  code = (
    "import sys, threedim_jax; from threedim_jax.main import main;"
    f"assert threedim_jax.__file__.startswith({str(site)!r}); main()"
  )

  def run(*args):
    return subprocess.run(
      [sys.executable, "-c", code, *map(str, args)],
      cwd=cwd,
      env={**os.environ, "PYTHONPATH": str(site), "HOME": str(cwd)},
      capture_output=True,
      text=True,
      timeout=600,
    )

  return run


def test_contents(wheel):
  with zipfile.ZipFile(wheel) as archive:
    names = archive.namelist()
    metadata = next(n for n in names if n.endswith(".dist-info/METADATA"))
    text = archive.read(metadata).decode()
    scripts = next(n for n in names if n.endswith("entry_points.txt"))
    assert "threedim-jax = threedim_jax.main:main" in (
      archive.read(scripts).decode()
    )
  tops = {name.split("/")[0] for name in names}
  assert {top for top in tops if not top.endswith(".dist-info")} == {
    "threedim_jax"
  }
  for config in (REPO / "configs").glob("*.py"):
    assert f"threedim_jax/configs/{config.name}" in names
  assert "threedim_jax/models/weights/shapes64.msgpack" in names
  assert "threedim_jax/viewing/templates/page.html" in names
  assert "# threedim_jax" in text and "Classifier: " in text


def test_samples_a_photo_and_scores_the_views(run_installed, tmp_path):
  picture = np.full((64, 64, 3), 255, np.uint8)
  picture[16:48, 20:44] = (30, 120, 200)
  Image.fromarray(picture).save(tmp_path / "box.png")
  result = run_installed(
    "sample",
    "--pretrained=shapes32",
    f"--image={tmp_path / 'box.png'}",
    f"--workdir={tmp_path / 'w'}",
    "--config.sampler.num_sample_steps=2",
    "--config.sample.num_views=6",
  )
  assert result.returncode == 0, result.stderr
  folder = tmp_path / "w" / "samples" / "box"
  assert Image.open(folder / "000.png").size == (32, 32)
  assert (folder / "viewer.html").exists()
  result = run_installed(
    "score", f"--samples={folder.parent}", "--num_steps=2",
    f"--workdir={tmp_path / 'scores'}",
  )  # fmt: skip
  assert result.returncode == 0, result.stderr
  assert (tmp_path / "scores" / "consistency.html").exists()


def test_help_and_bad_input(run_installed, tmp_path):
  result = run_installed("--help")
  assert result.returncode == 0
  assert "threedim-jax MODE" in result.stdout
  result = run_installed(
    "sample", "--pretrained=shapes65", f"--workdir={tmp_path}"
  )
  assert result.returncode == 2
  assert "shapes64" in result.stderr and "Traceback" not in result.stderr
  result = run_installed(
    "sample", "--pretrained=shapes64", f"--workdir={tmp_path}"
  )
  assert result.returncode == 2
  assert (
    "Build it: in a clone of the repository, python datasets/build.py shapes"
    in result.stderr
  )
