# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""local.sh with the real program: killed, it goes on where it was."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

REPO = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(data_dir, tmp_path):
  """SIGKILL after a checkpoint, as the kernel or a spot machine would."""
  workdir = tmp_path / "run"
  log = tmp_path / "log"
  with open(log, "w") as f:
    process = subprocess.Popen(
      [
        "bash", "launch/local.sh", "configs/shapes.py:debug", workdir,
        "--env=cpu", "--pause=0", "--", f"--config.data.data_dir={data_dir}",
        "--config.train.checkpoint_every_steps=1",
        "--config.train.eval_every_steps=100", "--config.train.num_examples=12",
      ],
      cwd=REPO, env={**os.environ, "PYTHON": sys.executable},
      stdout=f, stderr=subprocess.STDOUT,
    )  # fmt: skip
  # A name of digits alone: Orbax has finished it.
  while not any(p.name.isdigit() for p in workdir.glob("checkpoints/*")):
    assert process.poll() is None, log.read_text()
    time.sleep(0.02)
  [child] = subprocess.run(
    ["pgrep", "--parent", str(process.pid)], capture_output=True, text=True
  ).stdout.split()
  os.kill(int(child), signal.SIGKILL)
  assert process.wait() == 0, log.read_text()
  text = log.read_text()
  assert "exit code 137" in text and "exit code 0: done" in text
  again = text.partition("exit code 137")[2]
  assert "restore the last checkpoint" in again
  assert "initialise the parameters" not in again
