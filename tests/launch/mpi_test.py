# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""mpi.sh with a real Open MPI: two processes that find each other."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).parents[2]
pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(
    shutil.which("mpirun") is None,
    reason="MPIRUN IS MISSING: mpi.sh was NOT tried with a real one",
  ),
]
# In place of the program: JAX's own detection, one sum over both processes.
PROGRAM = """
import signal, sys, time
import jax
jax.distributed.initialize()
from jax.experimental import multihost_utils
import numpy as np
index = jax.process_index()
total = multihost_utils.process_allgather(np.float32(index + 1)).sum()
print(f"process {index}/{jax.process_count()}: sum {total}", flush=True)
if "--wait" in sys.argv:
  step = 0
  while not multihost_utils.reached_preemption_sync_point(step):
    time.sleep(0.05)
    step += 1
  print(f"process {index} saved at {step}", flush=True)
  sys.stdout.flush()
  jax.distributed.shutdown()
  import os; os._exit(75)
"""


def start(tmp_path, *flags) -> subprocess.Popen:
  fake = tmp_path / "python_with_another_main"
  fake.write_text(
    f"#!/bin/sh\ncase $1 in -u) shift 3; exec {sys.executable} -u"
    f' {tmp_path}/program.py "$@";; *) exec {sys.executable} "$@";; esac\n'
  )
  fake.chmod(0o755)
  (tmp_path / "program.py").write_text(PROGRAM)
  env = {**os.environ, "PYTHON": str(fake), "XLA_FLAGS": ""}
  for name in list(env):
    if name.lower().endswith("_proxy"):
      del env[name]  # JAX's processes would talk through it
  return subprocess.Popen(
    [
      "bash", "launch/mpi.sh", "configs/shapes.py", "W", "--np=2",
      "--env=cpu", "--pause=0",
      "--mpi_args=--allow-run-as-root --oversubscribe", *flags,
    ],
    cwd=REPO, env=env, text=True,
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
  )  # fmt: skip


def test_two_processes_find_each_other(tmp_path):
  process = start(tmp_path)
  output, _ = process.communicate(timeout=240)
  assert process.returncode == 0, output
  assert "process 0/2: sum 3.0" in output
  assert "process 1/2: sum 3.0" in output


def test_sigterm_reaches_both_and_ends_with_75(tmp_path):
  process = start(tmp_path, "--", "--wait")
  output = ""
  while output.count("sum 3.0") < 2:
    line = process.stdout.readline()
    assert line, output
    output += line
  process.send_signal(signal.SIGTERM)
  rest, _ = process.communicate(timeout=240)
  assert process.returncode == 75, output + rest
  assert "process 0 saved" in rest and "process 1 saved" in rest
  assert "restart" not in rest
