# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the launchers do after each exit code: local, SLURM and MPI."""

import os
import pathlib
import signal
import sys
import time

import pytest

REPO = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(REPO / "tests/launch"))

from stubs import Stubs  # noqa: E402

MAIN = "threedim_jax.main"
CONFIG = "configs/shapes.py:debug"


@pytest.fixture
def stubs(tmp_path):
  return Stubs(tmp_path)


def local(stubs, *options, **kwargs):
  return stubs.run(
    "bash", "launch/local.sh", CONFIG, "W", "--env=cpu", "--pause=0", *options,
    **kwargs,
  )  # fmt: skip


def codes(*values: int) -> list[dict]:
  return [{"code": value} for value in values]


def wait_until(condition, seconds: float = 20.0) -> None:
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, "it does not happen"
    time.sleep(0.02)


def test_local_runs_the_documented_command(stubs):
  result = local(stubs, "--", "--mode=sample", "--config.name=two words")
  assert result.returncode == 0
  assert stubs.programs() == [
    [
      f"--config={CONFIG}", "--workdir=W", "--mode=sample",
      "--config.name=two words",
    ]
  ]  # fmt: skip
  assert "resume: bash launch/local.sh" in result.stdout
  assert "delete: rm -r W" in result.stdout


def test_local_starts_again_after_preemption_watchdog_and_kill(stubs):
  stubs.reply(MAIN, *codes(75, 124, 137, 143, 0))
  result = local(stubs)
  assert result.returncode == 0
  programs = stubs.programs()
  assert len(programs) == 5
  assert all(program == programs[0] for program in programs)  # it resumes
  assert "restart 4 of at most 20" in result.stdout


@pytest.mark.parametrize("code", [2, 1, 134, 139])
def test_local_stops_after_a_bad_configuration_or_a_bug(code, stubs):
  stubs.reply(MAIN, {"code": code})
  result = local(stubs)
  assert result.returncode == code
  assert len(stubs.programs()) == 1
  assert ("mend it" in result.stdout) == (code == 2)


def test_local_gives_up_after_max_restarts(stubs):
  stubs.reply(MAIN, {"code": 75})
  result = local(stubs, "--max_restarts=2")
  assert result.returncode == 75
  assert len(stubs.programs()) == 3
  assert "the limit" in result.stdout


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_local_passes_a_signal_on_once_and_does_not_restart(name, stubs):
  stubs.reply(MAIN, {"on_term": 75})
  process = stubs.popen(
    "bash", "launch/local.sh", CONFIG, "W", "--env=cpu", "--pause=0"
  )
  wait_until((stubs.folder / "up").exists)
  process.send_signal(name)
  output, _ = process.communicate(timeout=60)
  assert process.returncode == 75
  assert len(stubs.programs()) == 1
  assert "resume: bash launch/local.sh" in output


def test_local_waits_before_it_restarts_and_can_be_stopped_then(stubs):
  stubs.reply(MAIN, {"code": 75})
  process = stubs.popen(
    "bash", "launch/local.sh", CONFIG, "W", "--env=cpu", "--pause=60"
  )
  for line in process.stdout:
    if line.startswith("restart 1"):
      break
  time.sleep(0.2)
  process.terminate()
  process.communicate(timeout=60)
  assert process.returncode == 75
  assert len(stubs.programs()) == 1


def test_env_file_reaches_the_program_and_the_caller_wins(stubs):
  stubs.script.clear()  # the real env_flags.py instead
  fake = stubs.bin / "python_that_prints"
  fake.write_text(
    f'#!/bin/sh\ncase $1 in -u) env;; *) exec {sys.executable} "$@";; esac\n'
  )
  fake.chmod(0o755)
  env = {"PYTHON": str(fake), "NCCL_DEBUG": "INFO"}
  result = stubs.run(
    "bash", "launch/local.sh", CONFIG, "W", "--env=gpu", env=env
  )
  assert "XLA_PYTHON_CLIENT_MEM_FRACTION=0.9\n" in result.stdout
  assert "NCCL_DEBUG=INFO\n" in result.stdout
  assert f"PYTHONPATH={REPO}\n" in result.stdout


# SLURM.
SLURM = {
  "SLURM_JOB_ID": "4711",
  "SLURM_CPUS_PER_TASK": "8",
  "SLURM_RESTART_COUNT": "3",
}


def job(stubs, *options, env=()):
  # SLURM runs a copy of the script.
  copy = stubs.folder / "slurm_script"
  copy.write_text((REPO / "launch/slurm.sbatch").read_text())
  return stubs.run(
    "bash", copy, CONFIG, "/shared/W", "--env=cpu", *options,
    env={**SLURM, **dict(env)},
  )  # fmt: skip


def test_slurm_job_runs_one_process_a_task(stubs):
  stubs.reply("^srun", {"ranks": 2})
  result = job(stubs, "--", "--mode=evaluate")
  assert result.returncode == 0, result.stdout
  want = [f"--config={CONFIG}", "--workdir=/shared/W", "--mode=evaluate"]
  assert stubs.programs() == [want, want]
  assert not stubs.calls("scontrol")
  assert not list((REPO / "runs/slurm").glob("4711-codes-*"))


@pytest.mark.parametrize(
  ("ranks", "requeued"),
  [
    ([75, 75], True),
    ([124, 134], True),  # the watchdog of one, the abort of its peer
    ([134, 124], True),
    ([137, 134], True),
    ([2, 2], False),
    ([2, 134], False),
    ([134, 1], False),  # a crash: the peer's abort does not hide it
    ([0, 0], False),
  ],
)
def test_slurm_requeues_by_the_code_of_the_cause(ranks, requeued, stubs):
  stubs.reply("^srun", {"ranks": len(ranks)})
  stubs.reply(MAIN, *codes(*ranks))
  result = job(stubs)
  calls = stubs.calls("scontrol")
  assert calls == ([["scontrol", "requeue", "4711"]] if requeued else [])
  if requeued:
    assert result.returncode == 0
  elif any(ranks):
    assert result.returncode in (1, 2)
    assert "resume:" in result.stdout


def test_slurm_gives_up_after_max_restarts(stubs):
  stubs.reply("^srun", {"ranks": 1})
  stubs.reply(MAIN, {"code": 75})
  result = job(stubs, "--max_restarts=3")
  assert result.returncode == 75
  assert not stubs.calls("scontrol")


def test_slurm_does_not_requeue_a_job_that_was_cancelled(stubs):
  """scancel signals this script as well; --signal=TERM@300 does not."""
  stubs.reply("^srun", {"on_term": 75})
  process = stubs.popen(
    "bash", "launch/slurm.sbatch", CONFIG, "/shared/W", "--env=cpu",
    env=SLURM, start_new_session=True,
  )  # fmt: skip
  wait_until((stubs.folder / "up").exists)
  os.killpg(process.pid, signal.SIGTERM)
  process.communicate(timeout=60)
  assert process.returncode == 75
  assert not stubs.calls("scontrol")


def test_slurm_submit_once(stubs):
  stubs.reply("^squeue", {}, {"out": "4711\n"})
  stubs.reply("^sbatch", {"out": "4711;cluster\n"})
  words = [
    "launch/slurm_submit.sh", CONFIG, "W", "--nodes=2", "--time=1:00:00",
    f"--logs={stubs.folder}/logs",
  ]  # fmt: skip
  assert stubs.run("bash", *words, "--dry-run").returncode == 0
  assert not (stubs.folder / "logs").exists() and not stubs.calls()
  first = stubs.run("bash", *words)
  assert first.returncode == 0, first.stdout
  assert "submitted job 4711\n" in first.stdout
  second = stubs.run("bash", *words)
  assert "is there already: 4711" in second.stdout
  [call] = stubs.calls("sbatch")
  for word in ("--nodes=2", "--ntasks-per-node=8", "--gpus-per-node=8"):
    assert word in call
  assert not any("gpus-per-task" in word for word in call)
  assert f"{REPO}/{CONFIG}" in call and f"{REPO}/W" in call


def test_slurm_header():
  header = (REPO / "launch/slurm.sbatch").read_text().partition("set -euo")[0]
  options = [x[8:] for x in header.splitlines() if x.startswith("#SBATCH ")]
  assert options == ["--signal=TERM@300", "--requeue", "--open-mode=append"]


# MPI.
def test_mpi_exports_what_the_ranks_need(stubs):
  env = {"TFDS_DATA_DIR": "/shared/data"}
  result = stubs.run(
    "bash", "launch/mpi.sh", CONFIG, "W", "--np=4", "--env=gpu",
    "--hostfile=h", "--mpi_args=--bind-to none", env=env,
  )  # fmt: skip
  assert result.returncode == 0
  [call] = stubs.calls("mpirun")
  text = " ".join(call)
  assert text.startswith("mpirun -n 4 --hostfile h -x PYTHONPATH")
  assert "-x TFDS_DATA_DIR" in text and "-x NCCL_DEBUG" in text
  assert "--bind-to none bash" in text


def test_mpi_restarts_also_after_a_lost_peer(stubs):
  stubs.reply("^mpirun", *codes(134, 75, 2))
  result = stubs.run(
    "bash", "launch/mpi.sh", CONFIG, "W", "--np=2", "--env=cpu", "--pause=0"
  )
  assert result.returncode == 2
  assert len(stubs.calls("mpirun")) == 3


@pytest.mark.parametrize(
  ("env", "process"),
  [
    ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"}, "1/4"),
    ({"PMI_RANK": "3", "PMI_SIZE": "8"}, "3/8"),
  ],
)
def test_rank_hands_the_rank_of_any_mpi_to_jax(env, process, stubs):
  script = 'echo "$JAX_PROCESS_ID/$JAX_NUM_PROCESSES"'
  result = stubs.run(
    "bash", "launch/rank.sh", "bash", "-c", script,
    env={"JAX_COORDINATOR_ADDRESS": "host:1", **env},
  )  # fmt: skip
  assert result.stdout.strip() == process


def test_rank_leaves_detection_to_jax_otherwise(stubs):
  result = stubs.run(
    "bash", "launch/rank.sh", "env", env={"OMPI_COMM_WORLD_RANK": "1"}
  )
  assert "JAX_PROCESS_ID" not in result.stdout


def test_rank_turns_usr1_into_term_and_notes_the_code(stubs):
  (stubs.folder / "codes").mkdir()
  stubs.reply(MAIN, {"on_term": 75})
  process = stubs.popen(
    "bash", "launch/rank.sh", "fake_python", MAIN,
    env={"EXIT_CODES": str(stubs.folder / "codes"), "SLURM_PROCID": "5"},
    start_new_session=True,
  )  # fmt: skip
  wait_until((stubs.folder / "up").exists)
  # To the whole group, as mpirun does.
  os.killpg(process.pid, signal.SIGUSR1)
  process.communicate(timeout=60)
  assert process.returncode == 75
  assert (stubs.folder / "codes/5").read_text() == "75\n"
