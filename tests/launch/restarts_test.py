# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What local.sh and SLURM do after each exit code and signal."""

import os
import signal
import subprocess

from programs import REPO, wait_until
import pytest

MAIN = "threedim_jax.main"
CONFIG = "configs/shapes.py:debug"


def local(stubs, *options, **kwargs):
  return stubs.run(
    "bash", "launch/local.sh", CONFIG, "W", "--env=cpu", "--pause=0", *options,
    **kwargs,
  )  # fmt: skip


def codes(*values: int) -> list[dict]:
  return [{"code": value} for value in values]


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


@pytest.mark.parametrize(
  ("replies", "code", "said"),
  [
    ((75, 124, 137, 143, 0), 0, "restart 4 of at most 20"),
    ((2,), 2, "bad configuration"),
    ((1,), 1, "a bug"),
    ((134,), 134, "aborted"),  # no peer was lost: there is none
    ((139,), 139, "a bug"),
    ((75, 75, 75), 75, "the limit"),
  ],
)
def test_local_restarts_by_the_exit_code(replies, code, said, stubs):
  stubs.reply(MAIN, *codes(*replies))
  limit = ("--max_restarts=2",) if said == "the limit" else ()
  result = local(stubs, *limit)
  assert result.returncode == code
  assert said in result.stdout
  # The same command each time: it resumes.
  assert stubs.programs() == [stubs.programs()[0]] * len(replies)


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


def children(pid: int) -> list[int]:
  text = subprocess.run(
    ["pgrep", "--parent", str(pid)], capture_output=True, text=True
  ).stdout
  return [int(word) for word in text.split()]


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


def test_slurm_task_waits_while_the_program_saves(stubs):
  """SLURM signals all processes of a task, the shell around it too."""
  stubs.reply("^srun", {"ranks": 1})
  stubs.reply(MAIN, {"on_term": 75})
  process = stubs.popen(
    "bash", "launch/slurm.sbatch", CONFIG, "/shared/W", "--env=cpu",
    "--max_restarts=3", env=SLURM,
  )  # fmt: skip
  wait_until((stubs.folder / "up").exists)
  [srun] = children(process.pid)
  [task] = children(srun)
  for pid in (task, *children(task)):
    os.kill(pid, signal.SIGTERM)
  output, _ = process.communicate(timeout=60)
  assert process.returncode == 75, output  # of the program; the shell's is 143


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
  assert "job 4711 of this name exists already" in second.stdout
  [call] = stubs.calls("sbatch")
  for word in ("--nodes=2", "--ntasks-per-node=8", "--gpus-per-node=8"):
    assert word in call
  assert not any("gpus-per-task" in word for word in call)
  assert f"{REPO}/{CONFIG}" in call and f"{REPO}/W" in call
