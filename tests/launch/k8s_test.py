# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The JobSets of launch/k8s, and what the image is made of."""

import pathlib
import re
import subprocess
import sys

import pytest
from stubs import Stubs
import yaml

REPO = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(REPO / "launch/k8s"))

import render as k8s  # noqa: E402

JOB = ("--name=run", "--image=I:1", "--config=C.py", "--workdir=gs://B/run")
TPU = ("tpu", *JOB, "--accelerator=tpu-v6e-slice", "--topology=4x4")
GPU = ("gpu", *JOB, "--hosts=3", "--gpus=4", "--service_account=trainer")
both = pytest.mark.parametrize("args", [GPU, TPU], ids=["gpu", "tpu"])


def render(*args: str) -> tuple[dict, dict, dict]:
  """The JobSet, its Job, and the pod of that."""
  jobset = yaml.safe_load(k8s.jobset(k8s.parse_args(list(args))))
  job = jobset["spec"]["replicatedJobs"][0]["template"]
  return jobset, job, job["spec"]["template"]["spec"]


@both
def test_jobset(args):
  jobset, job, pod = render(*args)
  assert jobset["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
  assert jobset["kind"] == "JobSet"
  # Pods are found through a headless service of this name.
  network = {"enableDNSHostnames": True, "subdomain": "run"}
  assert jobset["spec"]["network"] == network
  assert jobset["spec"]["failurePolicy"]["maxRestarts"] == 100
  [replicated] = jobset["spec"]["replicatedJobs"]
  assert replicated["replicas"] == 1
  job = job["spec"]
  assert job["completionMode"] == "Indexed"
  assert job["completions"] == job["parallelism"] == (3 if args == GPU else 4)
  assert job["backoffLimit"] == 0
  assert pod["restartPolicy"] == "Never"
  assert pod["terminationGracePeriodSeconds"] == 300
  account = "trainer" if args == GPU else "default"
  assert pod["serviceAccountName"] == account
  [container] = pod["containers"]
  assert container["image"] == "I:1"
  resource = "nvidia.com/gpu" if args == GPU else "google.com/tpu"
  assert container["resources"]["limits"] == {resource: 4}
  [volume] = pod["volumes"]
  assert volume["emptyDir"]["medium"] == "Memory"
  assert container["volumeMounts"][0]["mountPath"] == "/dev/shm"


def action(jobset: dict, code: int, *, disrupted: bool = False) -> str:
  """What Kubernetes and JobSet do, by their rules in order."""
  job = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
  [container] = job["template"]["spec"]["containers"]
  reason = "BackoffLimitExceeded"  # backoffLimit is 0
  for rule in job["podFailurePolicy"]["rules"]:
    if "onPodConditions" in rule:
      [condition] = rule["onPodConditions"]
      assert condition == {"type": "DisruptionTarget", "status": "True"}
      matches = disrupted
    else:
      codes = rule["onExitCodes"]
      assert codes["containerName"] == container["name"]
      assert codes["operator"] == "NotIn"
      assert codes["values"] == sorted(codes["values"])  # the API asks for it
      matches = code not in codes["values"]
    if matches:
      if rule["action"] == "FailJob":
        reason = "PodFailurePolicy"
      break
  for rule in jobset["spec"]["failurePolicy"]["rules"]:
    if reason in rule["onJobFailureReasons"]:
      return rule["action"]
  return "RestartJobSet"


def test_exit_codes_decide_as_in_every_launcher():
  jobset, _, _ = render(*GPU)
  source = (REPO / "launch/restarts.sh").read_text()
  codes = re.search(r"restart_many=(\S+)", source)[1].split(",")
  for code in map(int, codes):
    assert action(jobset, code) == "RestartJobSet"
  for code in (1, 2, 139):
    assert action(jobset, code) == "FailJobSet"
    # Unless the node was taken away: then the code says nothing.
    assert action(jobset, code, disrupted=True) == "RestartJobSet"


def test_gpu_processes_know_each_other():
  jobset, _, pod = render(*GPU)
  [container] = pod["containers"]
  env = {e["name"]: e for e in container["env"]}
  # <JobSet>-<job>-<replica>-<index>.<service>: the first pod.
  address, port = env["JAX_COORDINATOR_ADDRESS"]["value"].split(":")
  name = jobset["spec"]["replicatedJobs"][0]["name"]
  assert address == f"run-{name}-0-0.run"
  assert int(port) == container["ports"][0]["containerPort"]
  assert env["JAX_NUM_PROCESSES"]["value"] == "3"
  path = env["JAX_PROCESS_ID"]["valueFrom"]["fieldRef"]["fieldPath"]
  assert "job-completion-index" in path


@pytest.mark.parametrize(
  ("accelerator", "topology", "hosts"),
  [
    ("tpu-v6e-slice", "1x1", (1, 1)),
    ("tpu-v6e-slice", "2x4", (1, 8)),
    ("tpu-v6e-slice", "4x4", (4, 4)),
    ("tpu-v5-lite-podslice", "16x16", (64, 4)),
    ("tpu-v5p-slice", "2x2x1", (1, 4)),
    ("tpu-v5p-slice", "4x4x4", (16, 4)),
    ("tpu-v4-podslice", "2x2x2", (2, 4)),
    ("tpu-v6e-slice", "16", None),
    ("tpu-v6e-slice", "4x", None),
    ("tpu-v6e-slice", "3x3", None),
    ("tpu-v6e-slice", "2x2x2x2", None),
  ],
)
def test_tpu_hosts(accelerator, topology, hosts):
  if hosts:
    assert k8s.tpu_hosts(accelerator, topology) == hosts
  else:
    with pytest.raises(ValueError, match="topology"):
      k8s.tpu_hosts(accelerator, topology)


@pytest.mark.parametrize(
  ("args", "code", "flag"),
  [
    (GPU, 0, '--a=it\'s "b c" $HOME ${x} b\\c : \t'),
    (TPU, 75, "--mode=train"),
  ],
  ids=["gpu", "tpu"],
)
def test_pod_runs_the_program(args, code, flag, tmp_path):
  """Flags arrive as they were, and the program's exit code is the pod's."""
  stubs = Stubs(tmp_path)
  (stubs.bin / "python").symlink_to(stubs.bin / "fake_python")
  stubs.reply("threedim_jax.main", {"code": code})
  [container] = render(*args, "--", flag)[2]["containers"]
  result = stubs.run(*container["command"], *container["args"])
  assert result.returncode == code, result.stdout
  [call] = stubs.calls("python")
  assert call[4:] == ["--config=C.py", "--workdir=gs://B/run", flag]


@pytest.mark.slow
@both
def test_schemas_of_kubernetes(args):
  """The Job and the pod of the JobSet, by Kubernetes' own schemas."""
  validate = pytest.importorskip(
    "kubernetes_validate",
    reason="KUBERNETES-VALIDATE IS MISSING: the manifests were NOT validated",
  )
  head = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "run"}}
  validate.validate(head | render(*args)[1], "1.32", strict=True)


@pytest.mark.parametrize(
  ("args", "message"),
  [
    ((*GPU[:1], *JOB[1:], "--name=Run"), "--name=Run"),
    ((*GPU[:1], *JOB[:3], "--workdir=runs/x"), "a pod's own disk"),
    ((*TPU[:5], "--accelerator=tpu-v6e-slice", "--topology=3x3"), "9 chips"),
  ],
)
def test_bad_input(args, message):
  result = subprocess.run(
    [sys.executable, REPO / "launch/k8s/render.py", *args],
    capture_output=True, text=True,
  )  # fmt: skip
  assert result.returncode == 2
  assert message in result.stderr
  assert not result.stdout


def test_image_is_made_of_what_is_there():
  text = (REPO / "launch/Dockerfile").read_text()
  assert "USER user" in text  # not root: the compilation cache is code
  ignore = (REPO / "launch/Dockerfile.dockerignore").read_text()
  kept = re.findall(r"^!(\S+)", ignore, re.M)
  assert {"setup.py", "threedim_jax", "configs", "launch"} <= set(kept)
  assert all((REPO / entry).exists() for entry in kept)
  # The first layer has setup.py and, empty, the folders that it looks for.
  made = re.search(r"RUN mkdir (.*?) &&", text)[1].split()
  mapping = re.search(r"package_dir={(.*?)}", (REPO / "setup.py").read_text())
  assert set(re.findall(r': "(\w+)"', mapping[1])) < set(made)
