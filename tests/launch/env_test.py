# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The settings of launch/env: accepted by XLA and libtpu, weaker than yours."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).parents[2]
ENV = REPO / "launch/env"
FILES = sorted(ENV.glob("*.env"))
FLAG = r"--xla_[a-z0-9_]+=[^\s\"]+"
# libtpu reads its flags when it describes a slice; no TPU is needed.
ASK_LIBTPU = """
from jax.experimental import topologies
print(len(topologies.get_topology_desc("v5e:2x2", "tpu").devices), "devices")
"""
LIBTPU_ALONE = {
  "JAX_PLATFORMS": "cpu",
  "TPU_SKIP_MDS_QUERY": "1",
  "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
  "TPU_ACCELERATOR_TYPE": "v5litepod-4",
  "TPU_WORKER_HOSTNAMES": "localhost",
  "TPU_WORKER_ID": "0",
}


def flags(path: pathlib.Path) -> list[str]:
  """All flags of an env file, also of lines that are off."""
  return re.findall(FLAG, path.read_text())


def bash(script: str, **env: str) -> subprocess.CompletedProcess:
  return subprocess.run(
    ["bash", "-uc", script],
    capture_output=True, text=True, cwd=REPO,
    env={**os.environ, "XLA_FLAGS": "", **env},
  )  # fmt: skip


def use_env(path: pathlib.Path, **env: str) -> subprocess.CompletedProcess:
  script = f"source launch/common.sh; use_env {sys.executable} {path}; env"
  return bash(script, **env)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_a_shell_can_source_it_and_the_caller_wins(path):
  before = {"NCCL_DEBUG": "INFO", "XLA_FLAGS": "--xla_dump_to="}
  result = bash(f"source {path}; env", **before)
  assert result.returncode == 0 and not result.stderr
  assert "NCCL_DEBUG=INFO\n" in result.stdout
  # XLA takes the last of two equal flags.
  assert re.search(r"^XLA_FLAGS=(.* )?--xla_dump_to=$", result.stdout, re.M)


def test_jaxlib_accepts_the_flags_of_cpu_env():
  result = use_env(ENV / "cpu.env")
  assert "note" not in result.stderr
  [line] = re.findall(r"^XLA_FLAGS=(.*)", result.stdout, re.M)
  assert sorted(line.split()) == sorted(flags(ENV / "cpu.env"))


def test_flags_that_jaxlib_refuses_are_dropped_with_a_note(tmp_path):
  path = tmp_path / "x.env"
  path.write_text(
    'export XLA_FLAGS="--xla_no_such_flag=1 $XLA_FLAGS" NCCL_DEBUG=WARN\n'
  )
  mine = "--xla_cpu_enable_fast_math=false"
  result = use_env(path, XLA_FLAGS=mine)
  assert result.returncode == 0
  assert "Unknown flag in XLA_FLAGS: --xla_no_such_flag=1" in result.stderr
  assert f"\nXLA_FLAGS={mine}\n" in result.stdout
  assert "\nNCCL_DEBUG=WARN\n" in result.stdout


@pytest.mark.slow
@pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None,
  reason="LIBTPU IS MISSING: the flags of tpu.env were NOT checked",
)
def test_libtpu_accepts_the_flags_of_tpu_env():
  text = (ENV / "tpu.env").read_text()
  assert not re.search(r"XLA_FLAGS=", text)  # there they would end JAX

  def ask(*args: str) -> subprocess.CompletedProcess:
    env = {**os.environ, **LIBTPU_ALONE, "LIBTPU_INIT_ARGS": " ".join(args)}
    return subprocess.run(
      [sys.executable, "-c", ASK_LIBTPU],
      capture_output=True, text=True, env=env,
    )  # fmt: skip

  result = ask(*flags(ENV / "tpu.env"))
  assert result.stdout == "4 devices\n", result.stderr
  # Were the flags read at all?
  result = ask("--xla_tpu_no_such_flag=1")
  assert result.returncode and "xla_tpu_no_such_flag" in result.stderr


def test_only_env_files_set_flags():
  """No launcher, image or manifest sets a variable of XLA, libtpu or NCCL."""
  for path in (REPO / "launch").rglob("*"):
    if path.suffix in (".sh", ".sbatch", ".yaml") or path.name == "Dockerfile":
      text = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.M)
      text = text.replace("export XLA_FLAGS=$before", "")  # of use_env
      assert not re.search(r"(XLA_|LIBTPU|NCCL_)\w*[=:][^-]", text), path
