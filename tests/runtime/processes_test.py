# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What each kind of launcher leaves in the environment, and what follows."""

import importlib.util

import pytest

from threedim_jax.runtime import processes
from threedim_jax.runtime.errors import UserError

SLURM = {
  "SLURM_JOB_ID": "7",
  "SLURM_STEP_ID": "0",
  "SLURM_STEP_NODELIST": "node[1-2]",
  "SLURM_NTASKS": "16",
  "SLURM_PROCID": "11",
  "SLURM_LOCALID": "3",
  "SLURM_NODEID": "1",
  "SLURM_STEP_TASKS_PER_NODE": "8(x2)",
}


def test_a_process_alone_stays_alone():
  assert processes.plan({}) is None
  assert processes.plan({"SLURM_NTASKS": "8"}) is None  # no srun: a shell
  assert processes.plan(SLURM | {"SLURM_NTASKS": "1"}) is None
  assert processes.plan({"OMPI_COMM_WORLD_SIZE": "1"}) is None
  assert processes.plan({"TPU_WORKER_HOSTNAMES": "localhost"}) is None
  assert processes.plan({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is None


def explicit(address="host:1234", count="4", index="2"):
  return dict(zip(processes.EXPLICIT, (address, count, index), strict=True))


def test_explicit_addresses_win():
  assert processes.plan(SLURM | explicit()) == {
    "coordinator_address": "host:1234",
    "num_processes": 4,
    "process_id": 2,
  }


@pytest.mark.parametrize(
  ("environ", "message"),
  [
    ({"JAX_PROCESS_ID": "0"}, "JAX_NUM_PROCESSES is not set"),
    (explicit(address="host"), "HOST:PORT"),
    (explicit(index="4"), "0 to JAX_NUM_PROCESSES - 1"),
    (explicit(count="four"), "JAX_NUM_PROCESSES=four"),
  ],
)
def test_contradictions_are_one_sentence(environ, message):
  with pytest.raises(UserError, match=message):
    processes.plan(environ)


def slurm_devices(tasks: str, gpus: str, local: int, node: int = 0):
  environ = SLURM | {
    "SLURM_STEP_TASKS_PER_NODE": tasks,
    "SLURM_LOCALID": str(local),
    "SLURM_NODEID": str(node),
    "CUDA_VISIBLE_DEVICES": gpus,
  }
  return processes.plan(environ)["local_device_ids"]


def test_slurm_shares_a_nodes_gpus():
  all_8 = "0,1,2,3,4,5,6,7"
  assert slurm_devices("1(x2)", all_8, 0) == list(range(8))
  assert slurm_devices("8(x2)", all_8, 3) == [3]
  assert slurm_devices("2(x2)", all_8, 1) == [4, 5, 6, 7]
  assert slurm_devices("8(x2)", "5", 3) == [0]  # one visible: its own
  assert slurm_devices("8(x2),4", all_8, 1, node=2) == [2, 3]
  assert processes.plan(SLURM) == {"local_device_ids": None}  # CPUs
  with pytest.raises(UserError, match="3 tasks on this node.*8 GPUs"):
    slurm_devices("3(x2)", all_8, 0)


def test_places_that_jax_knows_are_left_to_it():
  orte = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_MCA_orte_hnp_uri": "x"}
  assert processes.plan(orte) == {}
  assert processes.plan({"OMPI_COMM_WORLD_SIZE": "2"}) == {
    "cluster_detection_method": "mpi4py"
  }
  assert processes.plan({"TPU_WORKER_HOSTNAMES": "a,b"}) == {}
  assert processes.plan({"MEGASCALE_NUM_SLICES": "2"}) == {}


def test_an_indexed_job_needs_the_kubernetes_package(monkeypatch):
  job = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"}
  present = lambda name: object() if name == "kubernetes" else None
  monkeypatch.setattr(importlib.util, "find_spec", present)
  assert processes.plan(job) == {}
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(UserError, match=r"jax\[k8s\]"):
    processes.plan(job)


def test_the_line_says_who_and_with_what():
  line = processes.maybe_initialize({})
  assert line.startswith("process 0/1 on ")
  assert line.endswith(": 4 of 4 devices, cpu")
