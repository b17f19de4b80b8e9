# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Cloud TPUs against a gcloud that replays what the real one would say."""

import os

from programs import REPO, wait_until
import pytest

VM = ("bash", "launch/tpu_vm.sh")
PLACE = ("run", "--project=P", "--zone=Z", "--poll=0")
BABYSIT = (
  *VM, "babysit", *PLACE, "--type=v6e-16", "--config=configs/shapes.py",
  "--workdir=gs://B/run", "--spot",
)  # fmt: skip
QUEUED = "queued-resources describe"
NODE = "tpu-vm describe"
STATUS = "tpu_startup.sh status"
MISSING = {"err": "ERROR: NOT_FOUND: no such resource\n", "code": 1}
DOWN = {"err": "ERROR: connection reset\n", "code": 1}
NO_ANSWER = {"code": 255}
RUNNING = {"out": "worker a running 1\nworker b running 1\n"}
IDLE = {"out": "worker a idle\nworker b idle\n"}
DONE = {"out": "worker a exited 0\nworker b exited 0\n"}


def states(text: str) -> list[dict]:
  """Replies of gcloud: one a word; "-" is a resource that does not exist."""
  replies = {"-": MISSING, "down": DOWN}
  return [replies.get(w, {"out": f"{w}\n"}) for w in text.split()]


def exited(code: int) -> dict:
  return {"out": f"worker a exited {code}\nworker b exited 134\n"}


def changes(stubs) -> str:
  """What was changed, in order: create, install, start, delete."""
  found = []
  for call in stubs.calls("gcloud"):
    text = " ".join(call)
    for verb in ("resources create", "resources delete", "startup.sh install",
                 "startup.sh start "):  # fmt: skip
      if verb in text:
        found.append(verb.split()[-1])
  return " ".join(found)


# In each life: nothing runs yet, then it does; at last it is done. babysit
# looks at the state, and create looks again.
LIVES = (
  "- - WAITING_FOR_RESOURCES PROVISIONING ACTIVE ACTIVE SUSPENDED SUSPENDED"
  " - - WAITING_FOR_RESOURCES ACTIVE ACTIVE SUSPENDING SUSPENDED"
  " - - PROVISIONING ACTIVE ACTIVE ACTIVE"
)


@pytest.mark.parametrize(
  ("queued", "nodes", "workers", "options", "code", "changed", "said"),
  [
    pytest.param(
      LIVES, "READY", [IDLE, RUNNING, IDLE, RUNNING, IDLE, RUNNING, DONE], (),
      0, "create install start delete " * 3, "recreate 2", id="preempted twice",
    ),
    pytest.param(
      "ACTIVE ACTIVE - - ACTIVE", "PREEMPTED READY", [DONE], (),
      0, "delete create delete", "recreate 1", id="the node shows it first",
    ),
    # Bad configurations and bugs are not tried again.
    pytest.param(
      "ACTIVE", "READY", [exited(2)], (),
      2, "delete", "bad configuration", id="bad configuration",
    ),
    pytest.param(
      "ACTIVE", "READY", [exited(1)], (),
      1, "delete", "the last words", id="bug",
    ),
    # The TPU is still there, or its loss will show soon.
    pytest.param(
      "ACTIVE", "READY", [exited(75), RUNNING, DONE], (),
      0, "start delete", "start 1", id="shutdown ended the loop",
    ),
    pytest.param(
      "ACTIVE", "READY", [exited(137), RUNNING, DONE], (),
      0, "start delete", "start 1", id="loop was killed",
    ),
    pytest.param(
      "ACTIVE", "READY", [exited(2)], ["--keep"],
      2, "", "costs money", id="keep",
    ),
    pytest.param(
      "ACTIVE", "READY", [RUNNING, RUNNING, DONE], (),
      0, "delete", "code 0", id="an earlier babysit was killed",
    ),
    pytest.param(
      "- - ACTIVE", "READY", [IDLE, RUNNING, DONE], ["--source=gs://B/c.tar.gz"],
      0, "create delete", "code 0", id="startup script",
    ),
    # A quota is missing.
    pytest.param(
      "FAILED", "READY", [], (),
      2, "delete delete", "failed three times", id="failed",
    ),
    pytest.param(
      "SUSPENDED", "READY", [], ["--max_recreates=3"],
      2, "delete delete delete", "--max_recreates", id="bounded",
    ),
    pytest.param(
      "down down ACTIVE", "READY", [NO_ANSWER, DONE], (),
      0, "delete", "no answer from the workers (1 of 10)", id="gcloud fails",
    ),
  ],
)  # fmt: skip
def test_babysit(queued, nodes, workers, options, code, changed, said, stubs):
  stubs.reply(QUEUED, *states(queued))
  stubs.reply(NODE, *states(nodes))
  stubs.reply(STATUS, *workers)
  stubs.reply("tail -n 100", {"out": "the last words\n"})
  result = stubs.run(*BABYSIT, *options, "--", "--a=b c")
  assert result.returncode == code, result.stdout
  assert changes(stubs) == changed.strip()
  assert said in result.stdout
  creates = [c for c in stubs.calls("gcloud") if "create" in c]
  for create in creates:
    assert create == creates[0]
    assert "--spot" in create
    assert "--runtime-version=v2-alpha-tpuv6e" in create
    if "--source" in str(options):
      [metadata] = [w for w in create if w.startswith("--metadata=")]
      assert metadata.endswith(";threedim-flags='--a=b c'")


def test_create_and_delete_may_be_repeated(stubs):
  stubs.reply(QUEUED, *states("- ACTIVE ACTIVE -"))
  for _ in range(2):
    assert not stubs.run(*VM, "create", *PLACE, "--type=v4-8").returncode
  for _ in range(2):
    assert not stubs.run(*VM, "delete", *PLACE).returncode
  assert changes(stubs) == "create delete"


# What runs on the workers.
@pytest.fixture
def worker(stubs):
  """A worker's folder, with the code and an interpreter that is a stand-in."""
  folder = stubs.folder / "opt"
  (folder / "venv/bin").mkdir(parents=True)
  (folder / "code").symlink_to(REPO)
  (folder / "venv/bin/python").symlink_to(stubs.bin / "fake_python")
  # The link's name is what it is called by.
  stubs.reply("^python -c", {})

  def call(*words: str) -> str:
    return stubs.run(
      "bash", "launch/tpu_startup.sh", *words,
      env={"THREEDIM_DIR": str(folder)},
    ).stdout  # fmt: skip

  return folder, call


def programs(stubs) -> list[list[str]]:
  return [c[4:] for c in stubs.calls("python") if "threedim_jax.main" in c]


def test_worker_starts_once_reports_and_stops_with_a_save(stubs, worker):
  _, call = worker
  stubs.reply("threedim_jax.main", {"on_term": 75})
  assert call("status").endswith("idle\n")
  assert "running" in call("start", "configs/shapes.py", "gs://B/r", "--a=b c")
  wait_until((stubs.folder / "up").exists)
  assert "runs already" in call("start", "configs/shapes.py", "X")
  assert call("stop").endswith("exited 75\n")
  assert programs(stubs) == [
    ["--config=configs/shapes.py", "--workdir=gs://B/r", "--a=b c"]
  ]


def test_worker_keeps_the_code_of_a_bad_configuration(stubs, worker):
  _, call = worker
  stubs.reply("threedim_jax.main", {"code": 2})
  call("start", "configs/shapes.py", "gs://B/run")
  wait_until(lambda: call("status").endswith("exited 2\n"))
  # A restart of the VM changes nothing about it.
  for name in ("source", "config", "workdir"):
    stubs.reply(f"threedim-{name}$", {"out": "X"})
  assert call().endswith("exited 2\n")
  assert len(programs(stubs)) == 1


def test_worker_that_left_no_exit_code_was_killed(worker):
  folder, call = worker
  (folder / "pid").write_text("999999999\n")
  assert call("status").endswith("exited 137\n")


@pytest.mark.parametrize(
  ("source", "fetched"),
  [
    ("gs://B/code.tar.gz", None),
    ("git@HOST:OWNER/REPO", ["git@HOST:OWNER/REPO", "HEAD"]),
    ("git@HOST:OWNER/REPO@v1", ["git@HOST:OWNER/REPO", "v1"]),
    ("https://HOST/REPO@v1", ["https://HOST/REPO", "v1"]),
  ],
)
def test_worker_installs(source, fetched, stubs, worker):
  folder, call = worker
  (folder / "code").unlink()
  (folder / "venv/bin/python").unlink()
  os.makedirs(folder / "uv/bin")
  fakes = [stubs.bin / name for name in ("python3", "tar", "git")]
  for path in (*fakes, folder / "uv/bin/uv"):
    path.symlink_to(stubs.bin / "fake_python")
  call("install", source)
  called = [c[0] for c in stubs.calls()]
  if fetched:
    assert called == ["git"] * 3 + ["python3", "uv", "uv"]
    assert stubs.calls("git")[1][-2:] == fetched
  else:
    assert called == ["gcloud", "tar", "python3", "uv", "uv"]
  assert stubs.calls("uv")[-1][-1] == f"{folder}/code[tpu]"
