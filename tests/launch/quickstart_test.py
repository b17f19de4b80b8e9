# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""quickstart.sh and test.sh, and the settings of launch/env on this jaxlib."""

from importlib import metadata
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).parents[2]
COMMANDS = ["quickstart.sh", "test.sh"]


def bash(*args, **kwargs) -> subprocess.CompletedProcess:
  return subprocess.run(
    ["bash", *map(str, args)], capture_output=True, text=True, **kwargs
  )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_how_to_call_it(name):
  result = bash(REPO / "launch" / name, "--help")
  assert result.returncode == 0
  assert f"bash launch/{name}" in result.stdout


def test_unknown_option_is_refused():
  assert bash(REPO / "launch/quickstart.sh", "--fast").returncode == 2


def test_say_alive_reports_and_keeps_the_exit_code():
  source = f"source {REPO / 'launch/common.sh'}; say_alive 'wait'"
  good = bash("-c", f"{source} true")
  assert good.returncode == 0
  assert "wait, done in" in good.stdout
  bad = bash("-c", f"{source} sh -c 'echo the reason; exit 3'")
  assert bad.returncode == 3
  assert "the reason" in bad.stderr


def test_no_old_python_is_taken(tmp_path):
  """An interpreter that says it is too old, and no other in PATH."""
  for name in ("python3", "python3.11", "python3.12", "python3.13"):
    (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / name).chmod(0o755)
  source = f"source {REPO / 'launch/common.sh'}; find_python"
  bash_path = shutil.which("bash")
  result = subprocess.run(
    [bash_path, "-c", source],
    capture_output=True, text=True,
    env={"PATH": str(tmp_path)},
  )  # fmt: skip
  assert result.returncode == 2
  assert "Python 3.11 or later" in result.stderr


def test_flags_of_cpu_env_are_known_or_dropped():
  source = f"source {REPO / 'launch/common.sh'}"
  env = {**os.environ, "XLA_FLAGS": ""}
  good = f"{source}; use_env {sys.executable} {REPO / 'launch/env/cpu.env'}"
  result = bash("-c", f'{good}; echo "flags: $XLA_FLAGS"', env=env)
  assert result.returncode == 0
  # The release that the flags were chosen on must know them.
  tried = metadata.version("jaxlib").startswith("0.10.")
  assert ("ynn_fusion" in result.stdout) or not tried


def test_unknown_flags_are_dropped_not_fatal(tmp_path):
  """One by one: those that are known stay, and the caller's come last."""
  known, callers = "--xla_cpu_enable_fast_math=false", "--xla_dump_to="
  (tmp_path / "x.env").write_text(
    f"XLA_FLAGS=--xla_no_such_flag=1\nXLA_FLAGS={known}\nNCCL_DEBUG=WARN\n"
  )
  source = f"source {REPO / 'launch/common.sh'}"
  result = bash(
    "-c", f"{source}; use_env {sys.executable} {tmp_path / 'x.env'}; env",
    env={**os.environ, "XLA_FLAGS": callers},
  )  # fmt: skip
  assert result.returncode == 0
  assert "does not know --xla_no_such_flag=1" in result.stderr
  assert f"XLA_FLAGS={known} {callers}\n" in result.stdout
  assert "NCCL_DEBUG=WARN\n" in result.stdout
