# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The README's commands name what exists.

That they run, in debug form, is tested in end_to_end_test.py, which has the
data and the compiled programs at hand.
"""

import pathlib
import re
import shlex

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


def test_readme_has_the_commands_and_is_short():
  assert len(README.splitlines()) <= 200
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
    assert words[2] in ("shapes", "srn")
    assert all(flag in text for flag in flags)
  elif command.startswith("python tests/"):
    assert (REPO / words[1]).is_file()
  elif words[0] in ("tensorboard", "source", "export"):
    pass
  else:
    assert command.startswith((MAIN, "python -m threedim_jax.report "))
