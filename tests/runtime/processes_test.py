# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How `maybe_initialize` reads what each launcher leaves in the environment."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import types

from programs import free_port
import pytest

from threedim_jax.runtime import processes
from threedim_jax.runtime.errors import UserError

REPO = pathlib.Path(__file__).parents[2]

# Task 11 of 16 on two nodes.
SLURM = {
  "SLURM_JOB_ID": "4100",
  "SLURM_STEP_ID": "1",
  "SLURM_STEP_NODELIST": "node[01-02]",
  "SLURM_NTASKS": "16",
  "SLURM_STEP_NUM_TASKS": "16",
  "SLURM_PROCID": "11",
  "SLURM_LOCALID": "3",
  "SLURM_NODEID": "1",
  "SLURM_STEP_TASKS_PER_NODE": "8(x2)",
}
# Copied from SLURM 22.05: the shell that `salloc -n2` opens.
SALLOC = {
  "SLURM_JOB_ID": "5",
  "SLURM_STEP_ID": "4294967290",
  "SLURM_STEP_NODELIST": "vm",
  "SLURM_NTASKS": "2",
  "SLURM_STEP_NUM_TASKS": "1",
  "SLURM_PROCID": "0",
  "SLURM_LOCALID": "0",
  "SLURM_NODEID": "0",
  "SLURM_STEP_TASKS_PER_NODE": "1",
}
EXPLICIT = dict(zip(processes.EXPLICIT, ("host:1234", "4", "2"), strict=True))
OMPI_4 = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_MCA_orte_hnp_uri": "x"}


@pytest.mark.parametrize(
  ("environ", "plan"),
  [
    # A process alone stays alone.
    ({}, None),
    (SALLOC, None),
    ({"SLURM_NTASKS": "8"}, None),  # a shell of salloc on the login node
    (SLURM | {"SLURM_STEP_NUM_TASKS": "1"}, None),
    ({"OMPI_COMM_WORLD_SIZE": "1"}, None),
    ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
    ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None),
    # JAX detects the others; mpi4py detects Open MPI 5, MPICH, Intel MPI and
    # mpirun in SLURM.
    (OMPI_4, {}),
    (
      SLURM | {"OMPI_COMM_WORLD_SIZE": "2"},
      {"cluster_detection_method": "mpi4py"},
    ),
    ({"PMI_SIZE": "2"}, {"cluster_detection_method": "mpi4py"}),
    ({"PMI_SIZE": "1"}, None),
    (SLURM | {"PMI_SIZE": "32"}, {"cluster_detection_method": "mpi4py"}),
    ({"TPU_WORKER_HOSTNAMES": "a,b"}, {}),
    ({"MEGASCALE_NUM_SLICES": "2"}, {}),
    # Explicit addresses win.
    (
      SLURM | OMPI_4 | EXPLICIT,
      {
        "coordinator_address": "host:1234",
        "num_processes": 4,
        "process_id": 2,
      },
    ),
  ],
)
def test_who_else_is_there(environ, plan):
  assert processes.plan(environ) == plan


def test_mpi_without_mpi4py_says_how_to_get_it(monkeypatch):
  """Alone, each process would train for itself and write to one workdir."""
  monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)  # importing it fails
  with pytest.raises(UserError, match="pip install mpi4py"):
    processes.maybe_initialize({"PMI_SIZE": "2"})


def test_mpi4py_of_another_mpi_is_refused(monkeypatch):
  """It takes each process for a run of its own."""
  mpi = types.ModuleType("mpi4py.MPI")
  mpi.COMM_WORLD = types.SimpleNamespace(Get_size=lambda: 1)
  monkeypatch.setitem(sys.modules, "mpi4py", types.ModuleType("mpi4py"))
  monkeypatch.setitem(sys.modules, "mpi4py.MPI", mpi)
  with pytest.raises(UserError, match="another MPI"):
    processes.maybe_initialize({"PMI_SIZE": "2"})


@pytest.mark.parametrize(
  ("nodes", "host"),
  [
    ("vm", "vm"),
    ("a1,b[2-3]", "a1"),
    ("node[01-04,07]", "node01"),
    ("node[7,09]", "node7"),
  ],
)
def test_slurm_step_has_its_own_count_and_port(nodes, host):
  environ = SLURM | {"SLURM_STEP_NODELIST": nodes, "SLURM_NTASKS": "32"}
  assert processes.plan(environ) == {
    "coordinator_address": f"{host}:{61440 + 4 + 64}",
    "num_processes": 16,
    "process_id": 11,
    "local_device_ids": None,
  }
  chosen = processes.plan(environ | {"JAX_COORDINATOR_PORT": "99"})
  assert chosen["coordinator_address"] == f"{host}:99"


@pytest.mark.parametrize(
  ("tasks", "gpus", "local", "node", "share"),
  [
    ("1(x2)", 8, 0, 0, list(range(8))),
    ("8(x2)", 8, 3, 0, [3]),
    ("2(x2)", 8, 1, 0, [4, 5, 6, 7]),
    ("8(x2)", 1, 3, 0, [0]),  # it sees one alone: its own
    ("8(x2),4", 8, 1, 2, [2, 3]),
  ],
)
def test_slurm_tasks_share_a_nodes_gpus(tasks, gpus, local, node, share):
  environ = SLURM | {
    "SLURM_STEP_TASKS_PER_NODE": tasks,
    "SLURM_LOCALID": str(local),
    "SLURM_NODEID": str(node),
    "CUDA_VISIBLE_DEVICES": ",".join(map(str, range(gpus))),
  }
  assert processes.plan(environ)["local_device_ids"] == share


@pytest.mark.parametrize(
  ("environ", "message"),
  [
    ({"JAX_PROCESS_ID": "0"}, "JAX_NUM_PROCESSES is not set"),
    (EXPLICIT | {"JAX_COORDINATOR_ADDRESS": "host"}, "HOST:PORT"),
    (EXPLICIT | {"JAX_PROCESS_ID": "4"}, "0 to JAX_NUM_PROCESSES - 1"),
    (EXPLICIT | {"JAX_NUM_PROCESSES": "four"}, "JAX_NUM_PROCESSES=four"),
    (
      SLURM | {"SLURM_STEP_TASKS_PER_NODE": "3", "CUDA_VISIBLE_DEVICES": "0,1"},
      "3 tasks on this node.*2 GPUs",
    ),
  ],
)
def test_contradictions_are_one_sentence(environ, message):
  with pytest.raises(UserError, match=message):
    processes.plan(environ)


def test_an_indexed_job_needs_the_kubernetes_package(monkeypatch):
  job = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"}
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
  assert processes.plan(job) == {}
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(UserError, match=r"jax\[k8s\]"):
    processes.plan(job)


def test_the_line_says_who_and_with_what():
  line = processes.maybe_initialize({})
  assert line.startswith("process 0/1 on ")
  assert line.endswith(": 4 of 4 devices, cpu")


@pytest.mark.parametrize(
  ("platforms", "error", "reason"),
  [
    ("cuda", AssertionError(), "AssertionError"),
    ("tpux", RuntimeError("Unable to initialize backend 'tpux': no"), "no"),
  ],
)
def test_a_platform_that_jax_lacks_is_a_sentence(
  monkeypatch, platforms, error, reason
):
  def local_devices():
    raise error

  monkeypatch.setattr(processes.jax, "local_devices", local_devices)
  message = f"JAX_PLATFORMS={platforms} .*{reason}.: unset it, or install"
  with pytest.raises(UserError, match=message):
    processes.maybe_initialize({"JAX_PLATFORMS": platforms})
  with pytest.raises(type(error)):  # nobody chose a platform
    processes.maybe_initialize({})


def test_other_errors_of_a_platform_stay_as_they_are(monkeypatch):
  def local_devices():
    raise RuntimeError("out of memory")

  monkeypatch.setattr(processes.jax, "local_devices", local_devices)
  with pytest.raises(RuntimeError, match="out of memory"):
    processes.maybe_initialize({"JAX_PLATFORMS": "cuda"})


@pytest.mark.parametrize("platforms", ["cuda", "tpux"])
def test_what_jax_raises_for_a_platform_that_it_lacks(platforms):
  """JAX may word it in another way one day."""
  if platforms == "cuda" and importlib.util.find_spec("jax_cuda12_plugin"):
    pytest.skip("CUDA is installed")
  done = subprocess.run(
    [
      sys.executable, "-c",
      "from threedim_jax.runtime import errors, processes\n"
      "with errors.exit_with_message(): processes.maybe_initialize()",
    ],
    env={
      k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "JAX"))
    } | {"JAX_PLATFORMS": platforms, "PYTHONPATH": str(REPO)},
    capture_output=True, text=True,
  )  # fmt: skip
  assert done.returncode == 2, done.stderr
  assert f"error: JAX cannot use JAX_PLATFORMS={platforms} (" in done.stderr
  assert "Traceback" not in done.stderr


PROGRAM = """
import os, sys
from threedim_jax.runtime import processes, roll_call
roll_call.wait_until_all_started.__kwdefaults__["timeout_s"] = {timeout_s}
print(processes.maybe_initialize(), os.environ["http_proxy"])
processes.wait_for_all("the end")
"""


def start(index: int, port: int, timeout_s: float) -> subprocess.Popen:
  """A process of two behind a proxy that does not answer."""
  environ = {
    "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": str(index),
    "http_proxy": "http://127.0.0.1:9/",
  }
  return subprocess.Popen(
    [
      "timeout", "100",
      sys.executable, "-c", PROGRAM.format(timeout_s=timeout_s),
    ],
    env={**os.environ, **environ}, text=True,
    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
  )  # fmt: skip


@pytest.mark.slow
def test_two_processes_meet_in_spite_of_a_proxy():
  port = free_port()
  both = [start(index, port, timeout_s=60.0) for index in range(2)]
  for index, process in enumerate(both):
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert re.match(rf"process {index}/2 on .* http://127.0.0.1:9/$", out), out


@pytest.mark.slow
def test_a_missing_process_is_named_and_the_code_asks_for_a_restart():
  process = start(0, free_port(), timeout_s=2.0)
  _, err = process.communicate()
  assert process.returncode == processes.EXIT_LOST_PEER
  assert "process 0 of 2 waits for process 1:" in err
  assert "Check failure" not in err  # the end that JAX would make
