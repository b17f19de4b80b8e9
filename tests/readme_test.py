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
import pytest

REPO = pathlib.Path(__file__).parents[1]
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
    import subprocess
    import sys

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


def in_debug_form(command: str, tmp_path: pathlib.Path) -> str:
  """With ':debug', and folders that are there for those that are meant."""
  # What the quickstart trained is not here; what the test trained is.
  command = re.sub(
    "configs/(quickstart|shapes_small)", "configs/shapes", command
  )
  command = command.replace("runs/quickstart", "W")
  command = re.sub(r"(configs/\w+)\.py", r"\1.py:debug", command)
  # Weights that ship are of a larger network; main_test.py samples with them.
  config = "" if "--config=" in command else "--config=configs/shapes.py:debug "
  command = re.sub(r"--pretrained=\w+ ?", config, command)
  command = command.replace("--config.data.config=32", "")
  command = command.replace("--topology=v5e:4x4", "--topology=v5e:2x2")
  command = command.replace(
    "--image=photo.jpg", f"--image={tmp_path}/photo.png"
  )
  name = (re.findall(r"configs/(\w+)", command) or [""])[0]
  if "--mode=compare" in command:
    name = "scored"
  command = command.replace("--workdir=W", f"--workdir={tmp_path / name}")
  command = re.sub(
    r"--workdir=runs/\w+", f"--workdir={tmp_path / name}", command
  )
  if "--mode=evaluate" in command:  # here several runs share one workdir
    command += " --overwrite"
  if "--mode=mesh" in command:
    command = re.sub(
      "--samples=[^ ]*", f"--samples={tmp_path}/scored/samples/spheres", command
    )
  if "--mode=score" in command:
    command = re.sub(
      "--(samples|views)=[^ ]*", rf"--\1={tmp_path}/scored/\1", command
    )
    command = re.sub("--size=[0-9]+", "--size=16", command) + " --num_steps=2"
  return command


def write_what_is_scored(folder: pathlib.Path) -> None:
  """A folder of samples, and one of posed pictures, of the striped spheres."""
  import posed_folders
  import striped_spheres

  from threedim_jax.views.posed_views import PosedViews
  from threedim_jax.workdir import samples

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
def test_readme_commands_run_in_debug_form(data_dir, tmp_path, monkeypatch):
  """All calls of main and build.py, in order, with ':debug' and this data."""
  from absl import flags
  from absl.testing import flagsaver
  from conftest import build_debug_data
  import grain  # noqa: F401, defines flags that flagsaver would take away

  from threedim_jax import main
  from threedim_jax.modes import compare, evaluate, score

  monkeypatch.chdir(REPO)
  monkeypatch.setattr(main, "use_compilation_cache", lambda: None)
  for module in (
    compare,
    evaluate,
    score,
  ):  # large networks; they have own tests
    monkeypatch.setattr(module, "open_networks", lambda weights: ())
  monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
  write_what_is_scored(tmp_path / "scored")
  picture = np.full((40, 40, 3), 255, np.uint8)
  picture[10:30, 10:20] = 60
  Image.fromarray(picture).save(tmp_path / "photo.png")
  ran = 0
  # Trainings come first: the other modes use what they trained, also in place
  # of bundled weights.
  for command in sorted(COMMANDS, key=lambda c: "--mode=" in c):
    if command.startswith("python datasets/build.py shapes"):
      build_debug_data(data_dir)  # there already: says so and does nothing
    if not command.startswith(MAIN):
      continue
    command = in_debug_form(command, tmp_path)
    argv = ["main", *shlex.split(command)[3:]]
    monkeypatch.setattr(sys, "argv", argv)
    with flagsaver.flagsaver():
      flags.FLAGS.unparse_flags()
      main.main(argv)  # bad input would raise SystemExit
    flags.FLAGS.mark_as_parsed()
    ran += 1
  assert ran >= 5
  assert (tmp_path / "shapes" / "evaluation.json").exists()
  assert (tmp_path / "shapes" / "orbits.mp4").exists()
  assert (tmp_path / "shapes" / "samples" / "photo" / "viewer.html").exists()
  assert (tmp_path / "scored" / "samples" / "spheres" / "mesh.glb").exists()
  for kind in ("samples", "views"):
    page = tmp_path / "scored" / f"{kind}_consistency" / "consistency.html"
    assert page.exists()
  assert (tmp_path / "shapes" / "contact_sheet.png").exists()
