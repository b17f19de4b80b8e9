# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every launcher: sound shell, help, dry runs that touch nothing, goldens."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import make_goldens
from programs import REPO
import pytest

SOURCED = {"common.sh", "restarts.sh", "tpu_babysit.sh"}
SHELL = sorted((REPO / "launch").glob("*.s[hb]*"))  # .sh and .sbatch
SCRIPTS = [p for p in SHELL if p.name not in SOURCED]
SCRIPTS += [REPO / "launch/doctor.py", REPO / "launch/k8s/render.py"]
COMMANDS = make_goldens.COMMANDS


def interpreter(path: pathlib.Path) -> str:
  return sys.executable if path.suffix == ".py" else "bash"


@pytest.mark.slow
@pytest.mark.skipif(
  shutil.which("shellcheck") is None,
  reason="SHELLCHECK IS MISSING: the launchers were NOT checked",
)
def test_shellcheck():
  command = ["shellcheck", "-x", "-P", str(REPO), *map(str, SHELL)]
  command.append(str(REPO / ".ci/run"))
  result = subprocess.run(command, capture_output=True, text=True)
  assert result.returncode == 0, result.stdout


@pytest.mark.skipif(
  shutil.which("bats") is None,
  reason="BATS IS MISSING: launch/common.sh was NOT tested",
)
def test_bats():
  result = subprocess.run(
    ["bats", REPO / "tests/launch/common.bats"], capture_output=True, text=True
  )
  assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_help_names_the_script_and_touches_nothing(path, stubs):
  result = stubs.run(
    interpreter(path), path, "--help", cwd=stubs.folder / "cwd"
  )
  assert result.returncode == 0, result.stdout
  assert f"launch/{path.relative_to(REPO / 'launch')}" in result.stdout
  assert_untouched(stubs)


def assert_untouched(stubs):
  for name in ("home", "tmp", "cwd"):
    assert not os.listdir(stubs.folder / name), name
  assert not stubs.calls()


@pytest.mark.parametrize("index", range(len(COMMANDS)))
def test_dry_run_prints_what_it_should_and_touches_nothing(index, stubs):
  """If the change is meant: python tests/launch/make_goldens.py"""
  goldens = make_goldens.GOLDENS.read_text()
  expected = re.split(r"^(?=\$ )", goldens, flags=re.M)[1:]
  assert len(expected) == len(COMMANDS)
  # Called from an empty folder, so that whatever it writes shows.
  assert make_goldens.golden(COMMANDS[index], stubs) == expected[index]
  assert_untouched(stubs)


@pytest.mark.parametrize(
  ("words", "message"),
  [
    ("local.sh configs/shapes.py", "WORKDIR is missing"),
    ("local.sh configs/none.py W", "no configuration configs/none.py"),
    ("local.sh configs/shapes.py W --fast", "unknown option --fast"),
    ("local.sh configs/shapes.py W X", "one word too many: X"),
    ("local.sh configs/shapes.py W --pause=soon", "whole number"),
    ("local.sh configs/shapes.py W --env=npu", "npu.env"),
    ("slurm.sbatch configs/shapes.py W --dry-run", "only SLURM can run this"),
    ("quickstart.sh --fast", "unknown option --fast"),
    ("quickstart.sh W X", "shows how to call it"),
    ("tpu_vm.sh create run --zone=Z --type=v6e-8", "--project=... is missing"),
    ("tpu_vm.sh create run --project=P --type=v6e-8", "--zone=... is missing"),
    ("tpu_vm.sh create run --project=P --zone=Z", "--type=... is missing"),
    ("tpu_vm.sh create Run_1 --project=P --zone=Z", "cannot be a name"),
    ("tpu_vm.sh fly run --project=P --zone=Z", "unknown command fly"),
    (
      "tpu_vm.sh run run --project=P --zone=Z --config=configs/shapes.py"
      " --workdir=/tmp/w",
      "gs://BUCKET/FOLDER",
    ),
    (
      "tpu_vm.sh run run --project=P --zone=Z --config=/etc/passwd"
      " --workdir=gs://B/w",
      "outside this repository",
    ),
  ],
)
def test_bad_input_is_said_and_nothing_runs(words, message, stubs):
  script, *rest = words.split()
  result = stubs.run("bash", REPO / "launch" / script, *rest)
  assert result.returncode == 2
  assert message in result.stdout
  assert not stubs.calls()
