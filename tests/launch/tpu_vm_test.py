# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Cloud TPUs against a gcloud that replays what the real one would say."""

import os
import pathlib
import sys
import time

import pytest

REPO = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(REPO / "tests/launch"))

from stubs import Stubs  # noqa: E402

PLACE = ("--project=P", "--zone=Z")
JOB = ("--config=configs/shapes.py", "--workdir=gs://B/run")
BABYSIT = (
  "bash", "launch/tpu_vm.sh", "babysit", "run", *PLACE, "--type=v6e-16",
  *JOB, "--spot", "--poll=0",
)  # fmt: skip
QUEUED = "queued-resources describe"
NODE = "tpu-vm describe"
STATUS = "tpu_startup.sh status"
MISSING = {"err": "ERROR: NOT_FOUND: no such resource\n", "code": 1}
RUNNING = {"out": "worker a running 1\nworker b running 1\n"}
IDLE = {"out": "worker a idle\nworker b idle\n"}


@pytest.fixture
def stubs(tmp_path):
  stubs = Stubs(tmp_path)
  stubs.reply(NODE, {"out": "READY\n"})
  return stubs


def states(*names: str) -> list[dict]:
  return [{"out": f"{name}\n"} if name else MISSING for name in names]


def exited(code: int) -> dict:
  return {"out": f"worker a exited {code}\nworker b exited 134\n"}


def verbs(stubs) -> list[str]:
  """What was changed, in order: create, setup, start, delete."""
  found = []
  for call in stubs.calls("gcloud"):
    text = " ".join(call)
    for verb in ("resources create", "resources delete", "startup.sh install",
                 "startup.sh start "):  # fmt: skip
      if verb in text:
        found.append(verb.split()[-1])
  return found


def test_preempted_twice_is_made_again_twice_and_then_ends_well(stubs):
  life = ["WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE", "ACTIVE"]
  stubs.reply(
    QUEUED,
    *states("", ""),  # looked at by babysit, then by create
    *states(*life, "SUSPENDED", "SUSPENDED"),
    *states("", "", *life, "SUSPENDING", "SUSPENDED"),
    *states("", "", *life, "ACTIVE"),
  )
  done = {"out": "worker a exited 0\nworker b exited 0\n"}
  # In each life: nothing runs yet, then it does; at last it is done.
  stubs.reply(STATUS, IDLE, RUNNING, IDLE, RUNNING, IDLE, RUNNING, done)
  result = stubs.run(*BABYSIT)
  assert result.returncode == 0, result.stdout
  life = ["create", "install", "start", "delete"]
  assert verbs(stubs) == life * 3
  assert "recreate 2" in result.stdout
  assert "recreate 3" not in result.stdout
  creates = [c for c in stubs.calls("gcloud") if "create" in c]
  assert creates[0] == creates[1] == creates[2]
  assert "--spot" in creates[0]
  assert "--runtime-version=v2-alpha-tpuv6e" in creates[0]


def test_a_preempted_node_shows_before_its_queued_resource_does(stubs):
  stubs.script.clear()
  stubs.reply(QUEUED, *states("ACTIVE", "ACTIVE", "", "", "ACTIVE"))
  stubs.reply(NODE, *states("PREEMPTED", "READY"))
  stubs.reply(STATUS, {"out": "worker a exited 0\n"})
  result = stubs.run(*BABYSIT)
  assert result.returncode == 0, result.stdout
  assert verbs(stubs) == ["delete", "create", "delete"]


@pytest.mark.parametrize("code", [2, 1])
def test_bad_configuration_and_bugs_are_not_tried_again(code, stubs):
  stubs.reply(QUEUED, *states("ACTIVE"))
  stubs.reply(STATUS, exited(code))
  stubs.reply("tail -n 100", {"out": "the last words\n"})
  result = stubs.run(*BABYSIT)
  assert result.returncode == code
  assert verbs(stubs) == ["delete"]
  assert "the last words" in result.stdout
  assert ("bad configuration" in result.stdout) == (code == 2)


@pytest.mark.parametrize("code", [75, 137])
def test_a_loop_that_a_shutdown_ended_is_started_again(code, stubs):
  """Not the end: the TPU is there, or its loss will show soon."""
  stubs.reply(QUEUED, *states("ACTIVE"))
  stubs.reply(STATUS, exited(code), RUNNING, {"out": "worker a exited 0\n"})
  assert stubs.run(*BABYSIT).returncode == 0
  assert verbs(stubs) == ["start", "delete"]


def test_keep_leaves_the_tpu(stubs):
  stubs.reply(QUEUED, *states("ACTIVE"))
  stubs.reply(STATUS, exited(2))
  assert stubs.run(*BABYSIT, "--keep").returncode == 2
  assert verbs(stubs) == []


def test_babysit_goes_on_where_an_earlier_one_was_killed(stubs):
  """Training runs: nothing is installed or started again."""
  stubs.reply(QUEUED, *states("ACTIVE"))
  stubs.reply(STATUS, RUNNING, RUNNING, {"out": "worker a exited 0\n"})
  assert stubs.run(*BABYSIT).returncode == 0
  assert verbs(stubs) == ["delete"]


def test_a_startup_script_installs_by_itself(stubs):
  stubs.reply(QUEUED, *states("", "", "ACTIVE"))
  stubs.reply(STATUS, IDLE, RUNNING, {"out": "worker a exited 0\n"})
  result = stubs.run(*BABYSIT, "--source=gs://B/code.tar.gz", "--", "--a=b c")
  assert result.returncode == 0, result.stdout
  assert verbs(stubs) == ["create", "delete"]
  [create] = [c for c in stubs.calls("gcloud") if "create" in c]
  [metadata] = [w for w in create if w.startswith("--metadata=")]
  assert metadata.endswith(";threedim-flags='--a=b c'")


def test_a_quota_that_is_missing_is_not_asked_for_forever(stubs):
  stubs.reply(QUEUED, *states("FAILED"))
  result = stubs.run(*BABYSIT)
  assert result.returncode == 2
  assert "failed three times" in result.stdout
  assert verbs(stubs) == ["delete"] * 2


def test_recreates_are_bounded(stubs):
  stubs.reply(QUEUED, *states("SUSPENDED"))
  result = stubs.run(*BABYSIT, "--max_recreates=3")
  assert result.returncode == 2
  assert verbs(stubs) == ["delete"] * 3
  assert "--max_recreates" in result.stdout


def test_gcloud_that_fails_now_and_then(stubs):
  down = {"err": "ERROR: connection reset\n", "code": 1}
  stubs.reply(QUEUED, down, down, *states("ACTIVE"))
  stubs.reply(STATUS, {"code": 255}, {"out": "worker a exited 0\n"})
  result = stubs.run(*BABYSIT)
  assert result.returncode == 0, result.stdout
  assert "no answer from the workers (1 of 10)" in result.stdout


def test_create_and_delete_may_be_repeated(stubs):
  stubs.reply(QUEUED, *states("", "ACTIVE", "ACTIVE", ""))
  create = ("bash", "launch/tpu_vm.sh", "create", "run", *PLACE)
  delete = ("bash", "launch/tpu_vm.sh", "delete", "run", *PLACE)
  for command in (create, create):
    assert stubs.run(*command, "--type=v4-8").returncode == 0
  for command in (delete, delete):
    assert stubs.run(*command).returncode == 0
  assert verbs(stubs) == ["create", "delete"]


def test_wait_says_each_state_once(stubs):
  stubs.reply(QUEUED, *states(*["WAITING_FOR_RESOURCES"] * 3, "ACTIVE"))
  words = ("bash", "launch/tpu_vm.sh", "wait", "run", *PLACE, "--poll=0")
  result = stubs.run(*words)
  assert result.returncode == 0
  assert result.stdout.count("WAITING_FOR_RESOURCES") == 1
  stubs.script.clear()
  stubs.reply(QUEUED, *states("FAILED"))
  assert stubs.run(*words).returncode == 2


# What runs on the workers.
@pytest.fixture
def worker(stubs):
  """A worker's folder, with the code and an interpreter that is a stand-in."""
  folder = stubs.folder / "opt"
  (folder / "venv/bin").mkdir(parents=True)
  (folder / "code").symlink_to(REPO)
  (folder / "venv/bin/python").symlink_to(stubs.bin / "fake_python")
  # The link's name is what it is called by.
  stubs.reply("^python (-c|.*env_flags.py)", {})

  def call(*words):
    return stubs.run(
      "bash", "launch/tpu_startup.sh", *words,
      env={"THREEDIM_DIR": str(folder)},
    )  # fmt: skip

  def until(text):
    end = time.monotonic() + 20
    while text not in call("status").stdout:
      assert time.monotonic() < end, (folder / "log").read_text()
      time.sleep(0.1)

  return folder, call, until


def test_worker_starts_once_reports_and_stops_with_a_save(stubs, worker):
  folder, call, until = worker
  stubs.reply("threedim_jax.main", {"on_term": 75})
  assert "idle" in call("status").stdout
  result = call("start", "configs/shapes.py", "gs://B/run", "--mode=train")
  assert "running" in result.stdout, result.stdout
  end = time.monotonic() + 20
  while not (stubs.folder / "up").exists():
    assert time.monotonic() < end, (folder / "log").read_text()
    time.sleep(0.05)
  assert "runs already" in call("start", "configs/shapes.py", "X").stdout
  result = call("stop")
  assert result.stdout.endswith("exited 75\n"), result.stdout
  runs = [c for c in stubs.calls("python") if "threedim_jax.main" in c]
  assert len(runs) == 1
  assert runs[0][-3:] == [
    "--config=configs/shapes.py", "--workdir=gs://B/run", "--mode=train",
  ]  # fmt: skip


def test_worker_keeps_the_code_of_a_bad_configuration(stubs, worker):
  folder, call, until = worker
  stubs.reply("threedim_jax.main", {"code": 2})
  call("start", "configs/shapes.py", "gs://B/run")
  until("exited 2\n")
  # A restart of the VM changes nothing about it.
  for name, value in (("source", "S"), ("config", "C"), ("workdir", "W")):
    stubs.reply(f"threedim-{name}$", {"out": value})
  stubs.reply("threedim-flags$", {})
  result = call()
  assert result.stdout.endswith("exited 2\n"), result.stdout
  runs = [c for c in stubs.calls("python") if "threedim_jax.main" in c]
  assert len(runs) == 1


def test_worker_that_was_killed_without_a_word_counts_as_killed(worker):
  folder, call, _ = worker
  (folder / "pid").write_text("999999999\n")
  assert call("status").stdout.endswith("exited 137\n")


def test_worker_installs_from_a_bucket(stubs, worker):
  folder, call, _ = worker
  (folder / "code").unlink()
  os.makedirs(folder / "uv/bin")
  for name in ("python3", "tar"):
    (stubs.bin / name).symlink_to(stubs.bin / "fake_python")
  (folder / "uv/bin/uv").symlink_to(stubs.bin / "fake_python")
  result = call("install", "gs://B/code.tar.gz")
  assert result.returncode == 0, result.stdout
  called = [call[0] for call in stubs.calls()]
  assert called == ["gcloud", "tar", "uv"]  # the environment is there
  assert stubs.calls("uv")[0][-1] == f"{folder}/code[tpu]"
