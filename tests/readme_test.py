# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the README tells people to run does run, in debug form."""

import dataclasses
import os
import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
from PIL import Image
import posed_folders
from programs import REPO, build_debug_data
import pytest
import striped_spheres

from threedim_jax.modes import compare, evaluate, score
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir import samples

README = (REPO / "README.md").read_text()
MAIN = "python -m threedim_jax.main "


def commands() -> list[str]:
  """Every command of the README's bash blocks, continuation lines joined."""
  found = []
  for block in re.findall(r"```bash\n(.*?)```", README, re.S):
    for line in block.replace("\\\n", " ").splitlines():
      command = line.partition(" # ")[0].strip()
      if command and not command.startswith("#"):
        found.append(" ".join(command.split()))
  return found


COMMANDS = commands()


def test_readme_has_the_commands():
  assert "bash launch/quickstart.sh" in COMMANDS
  assert "bash launch/test.sh" in COMMANDS
  assert sum(c.startswith(MAIN) for c in COMMANDS) >= 3


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_what_exists(command):
  """Scripts and configs exist; flags parse; no tool is unknown to this test."""
  words = shlex.split(command)
  if words[0] == "bash":
    assert (REPO / words[1]).is_file()
  elif words[:2] == ["python", "datasets/build.py"]:
    text = subprocess.run(
      [sys.executable, REPO / "datasets/build.py", "--help"],
      capture_output=True, text=True, check=True, env={"PYTHONPATH": str(REPO)},
    ).stdout  # fmt: skip
    flags = [w.partition("=")[0] for w in words if w.startswith("--")]
    assert words[2] in ("shapes", "srn", "meshes")
    assert all(flag in text for flag in flags)
  elif command.startswith("python tests/"):
    assert (REPO / words[1]).is_file()
  elif words[:3] == ["pip", "install", "-e"]:
    extra = re.fullmatch(r"\.\[(\w+)\]", words[3])[1]
    assert f'"{extra}": [' in (REPO / "setup.py").read_text()
  elif words[0] in ("tensorboard", "source", "export"):
    pass
  else:
    modules = ("threedim_jax.viewing.report ", "threedim_jax.demo")
    assert command.startswith((MAIN, *(f"python -m {m}" for m in modules)))


# What makes a command of the README one of seconds: ':debug' configurations,
# what this test trained in place of what ships, and folders of this test.
IN_DEBUG_FORM = (
  (r"configs/(quickstart|shapes_small|shapes_tiny)", "configs/shapes"),
  (r"(configs/\w+)\.py", r"\1.py:debug"),
  # main_test.py samples with the weights, which are of a larger network.
  (r"(--config=.*) --pretrained=\w+", r"\1"),
  (r"--pretrained=\w+", "--config=configs/shapes.py:debug"),
  (r"v5e:4x4", "v5e:2x2"),
  (r"photo\.jpg", "{tmp}/photo.png"),
  (r"(--mode=compare) --workdir=W", r"\1 --workdir={tmp}/scored"),
  (r"configs/(\w+)(.*)=(runs/\w+|W)\b", r"configs/\1\2={tmp}/\1"),
  (r"--mode=evaluate", "--mode=evaluate --overwrite"),  # they share a workdir
  (r"(mesh --samples)=\S+", r"\1={tmp}/scored/samples/spheres"),
  (r"(score --(\w+))=\S+", r"\1={tmp}/scored/\2 --num_steps=2"),
  (r"--size=\d+", "--size=16"),
)


def in_debug_form(command: str, tmp_path: pathlib.Path) -> str:
  for pattern, replacement in IN_DEBUG_FORM:
    command = re.sub(pattern, replacement, command)
  return command.replace("{tmp}", str(tmp_path))


def write_what_is_scored(folder: pathlib.Path) -> None:
  """A folder of samples, and one of posed pictures, of the striped spheres."""
  images_u8, poses, K = striped_spheres.views(7, size=16)
  folder.mkdir()
  posed_folders.write_pose_folder(
    folder / "views",
    [f"{i:06d}" for i in range(7)],
    images_u8,
    poses,
    posed_folders.srn_intrinsics(K[0], (16, 16)),
  )
  views = PosedViews(images_u8, poses, K, np.arange(7, dtype=np.int32))
  sampled = samples.ObjectSamples(
    object_id="spheres", given=views[:1], generated=views[1:]
  )
  samples.write_sample(folder / "samples", sampled)
  truth = sampled.generated[::-1]
  sampled = dataclasses.replace(sampled, truth=truth)
  samples.write_sample(folder / "evaluate", sampled)


@pytest.mark.slow
def test_the_snippet_runs_as_printed(tmp_path):
  """From a folder that has nothing but the examples that it names."""
  (snippet,) = re.findall(r"```python\n(.*?)```", README, re.S)
  (tmp_path / "threedim_jax").symlink_to(REPO / "threedim_jax")
  subprocess.run(
    [sys.executable, "-c", snippet],
    check=True,
    cwd=tmp_path,
    env={**os.environ, "PYTHONPATH": str(REPO)},
  )
  with Image.open(tmp_path / "views.png") as image:
    assert image.width > 5 * 96  # the given view and four others


@pytest.mark.slow
def test_readme_commands_run_in_debug_form(
  run_main, data_dir, tmp_path, monkeypatch
):
  """All calls of main and build.py, in order, with ':debug' and this data."""
  for module in (compare, evaluate, score):  # large networks, tested elsewhere
    monkeypatch.setattr(module, "open_networks", lambda weights: ())
  monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
  write_what_is_scored(tmp_path / "scored")
  picture = np.full((40, 40, 3), 255, np.uint8)
  picture[10:30, 10:20] = 60
  Image.fromarray(picture).save(tmp_path / "photo.png")
  ran = 0
  # Trainings come first: the other modes use what they trained.
  for command in sorted(COMMANDS, key=lambda c: "--mode=" in c):
    if command.startswith("python datasets/build.py shapes"):
      build_debug_data(data_dir)  # there already: says so and does nothing
    if command.startswith(MAIN):
      words = shlex.split(in_debug_form(command, tmp_path))[3:]
      code, _, err = run_main(*words, config=None)
      assert code == 0, (words, err)
      ran += 1
  assert ran >= 5
  for file in (
    "shapes/evaluation.json",
    "shapes/orbits.mp4",
    "shapes/samples/photo/viewer.html",
    "scored/samples/spheres/mesh.glb",
    "scored/samples_consistency/consistency.html",
    "scored/views_consistency/consistency.html",
    "shapes/contact_sheet.png",
  ):
    assert (tmp_path / file).exists(), file
