# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The manifests of launch/k8s, gke.sh, and what images are made of."""

import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import yaml

REPO = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(REPO / "tests/launch"))
sys.path.insert(0, str(REPO / "launch/k8s"))

import render as k8s  # noqa: E402
from stubs import Stubs  # noqa: E402

JOB = ("--name=run", "--image=I:1", "--config=C.py", "--workdir=gs://B/run")
TPU = ("tpu", *JOB, "--accelerator=tpu-v6e-slice", "--topology=4x4")
GPU = ("gpu", *JOB, "--hosts=3", "--gpus=4")


@pytest.fixture
def stubs(tmp_path):
  return Stubs(tmp_path)


def render(*args: str) -> list[dict]:
  parsed = k8s.parse_args(list(args))
  text = k8s.rbac(parsed) if parsed.kind == "rbac" else k8s.jobset(parsed)
  return list(yaml.safe_load_all(text))


@pytest.mark.parametrize("args", [GPU, TPU], ids=["gpu", "tpu"])
def test_jobset(args):
  [jobset] = render(*args)
  assert jobset["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
  assert jobset["kind"] == "JobSet"
  spec = jobset["spec"]
  # Pods are found through a headless service of this name.
  assert spec["network"] == {"enableDNSHostnames": True, "subdomain": "run"}
  [replicated] = spec["replicatedJobs"]
  assert replicated["replicas"] == 1
  job = replicated["template"]["spec"]
  assert job["completionMode"] == "Indexed"
  assert job["completions"] == job["parallelism"] == (3 if args == GPU else 4)
  assert job["backoffLimit"] == 0
  pod = job["template"]["spec"]
  assert pod["restartPolicy"] == "Never"
  assert pod["terminationGracePeriodSeconds"] == 300
  [container] = pod["containers"]
  assert container["image"] == "I:1"
  resource = "nvidia.com/gpu" if args == GPU else "google.com/tpu"
  assert container["resources"]["limits"] == {resource: 4}


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


@pytest.mark.parametrize("args", [GPU, TPU], ids=["gpu", "tpu"])
def test_exit_codes_decide_as_in_every_launcher(args):
  [jobset] = render(*args)
  source = (REPO / "launch/restarts.sh").read_text()
  codes = re.search(r"restart_many=(\S+)", source)[1].split(",")
  for code in map(int, codes):
    assert action(jobset, code) == "RestartJobSet"
  for code in (1, 2, 139):
    assert action(jobset, code) == "FailJobSet"
    # Unless the node was taken away: then the code says nothing.
    assert action(jobset, code, disrupted=True) == "RestartJobSet"
  assert jobset["spec"]["failurePolicy"]["maxRestarts"] == 100


def test_gpu_processes_know_each_other():
  [jobset] = render(*GPU)
  [replicated] = jobset["spec"]["replicatedJobs"]
  pod = replicated["template"]["spec"]["template"]["spec"]
  [container] = pod["containers"]
  env = {e["name"]: e for e in container["env"]}
  # <JobSet>-<job>-<replica>-<index>.<service>: the first pod.
  address, port = env["JAX_COORDINATOR_ADDRESS"]["value"].split(":")
  assert address == f"run-{replicated['name']}-0-0.run"
  assert int(port) == container["ports"][0]["containerPort"]
  assert env["JAX_NUM_PROCESSES"]["value"] == "3"
  path = env["JAX_PROCESS_ID"]["valueFrom"]["fieldRef"]["fieldPath"]
  assert "job-completion-index" in path
  [volume] = pod["volumes"]
  assert volume["emptyDir"]["medium"] == "Memory"
  assert container["volumeMounts"][0]["mountPath"] == "/dev/shm"


@pytest.mark.parametrize(
  ("accelerator", "topology", "hosts", "chips"),
  [
    ("tpu-v6e-slice", "1x1", 1, 1),
    ("tpu-v6e-slice", "2x4", 1, 8),
    ("tpu-v6e-slice", "4x4", 4, 4),
    ("tpu-v5-lite-podslice", "16x16", 64, 4),
    ("tpu-v5p-slice", "2x2x1", 1, 4),
    ("tpu-v5p-slice", "4x4x4", 16, 4),
    ("tpu-v4-podslice", "2x2x2", 2, 4),
  ],
)
def test_tpu_hosts(accelerator, topology, hosts, chips):
  assert k8s.tpu_hosts(accelerator, topology) == (hosts, chips)


@pytest.mark.parametrize("topology", ["16", "4x", "3x3", "2x2x2x2"])
def test_no_such_slice(topology):
  with pytest.raises(ValueError, match="topology"):
    k8s.tpu_hosts("tpu-v6e-slice", topology)


@pytest.mark.parametrize(
  "flag",
  ["--a=it's", '--a="b c"', "--a=$HOME", "--a=${x}", "--a=b\\c", "--a=:"],
)
def test_flags_arrive_as_they_were(flag, stubs):
  """Through YAML and the shell of the pod."""
  [jobset] = render(*GPU, "--", flag)
  pod = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
  [container] = pod["spec"]["containers"]
  (stubs.bin / "python").symlink_to(stubs.bin / "fake_python")
  result = stubs.run(*container["command"], *container["args"])
  assert result.returncode == 0, result.stdout
  assert stubs.calls("python")[-1][4:] == [
    "--config=C.py", "--workdir=gs://B/run", flag,
  ]  # fmt: skip


def test_pod_ends_with_the_code_of_the_program(stubs):
  [jobset] = render(*TPU)
  pod = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
  [container] = pod["spec"]["containers"]
  (stubs.bin / "python").symlink_to(stubs.bin / "fake_python")
  stubs.reply("threedim_jax.main", {"code": 75})
  words = [*container["command"], *container["args"]]
  assert stubs.run(*words).returncode == 75


def test_account_may_read_what_jax_reads_and_no_more():
  account, role, binding = render("rbac", "--gcp_service_account=N@P")
  annotations = account["metadata"]["annotations"]
  assert annotations == {"iam.gke.io/gcp-service-account": "N@P"}
  verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
  assert verbs == {"get", "list"}
  resources = {r for rule in role["rules"] for r in rule["resources"]}
  assert resources == {"pods", "services", "jobs"}
  name = account["metadata"]["name"]
  assert binding["subjects"][0]["name"] == binding["roleRef"]["name"] == name
  [jobset] = render(*GPU)
  pod = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
  assert pod["spec"]["serviceAccountName"] == name


@pytest.mark.slow
@pytest.mark.parametrize("args", [GPU, TPU, ("rbac",)], ids=lambda a: a[0])
def test_schemas_of_kubernetes(args):
  """Job and pod of the JobSet, and the account, by Kubernetes' own schemas."""
  validate = pytest.importorskip(
    "kubernetes_validate",
    reason="KUBERNETES-VALIDATE IS MISSING: the manifests were NOT validated",
  )
  documents = render(*args)
  if args[0] != "rbac":
    [jobset] = documents
    template = jobset["spec"]["replicatedJobs"][0]["template"]
    documents = [
      {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "run"},
        **template,
      }
    ]
  for document in documents:
    validate.validate(document, "1.32", strict=True)


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


GKE = (
  "bash", "launch/gke.sh", "configs/shapes.py", "gs://B/run", "--name=run",
  "--image=I", "--compute_type=v6e-8", "--project=P", "--location=L",
  "--cluster=C",
)  # fmt: skip


def test_gke_submits_once(stubs):
  stubs.reply("job list", {}, {"out": "NAME STATUS\nrun Running\n"})
  assert stubs.run(*GKE, "--", "--mode=sample").returncode == 0
  second = stubs.run(*GKE)
  assert "is there already" in second.stdout
  [call] = [c for c in stubs.calls("gcluster") if "submit" in c]
  assert "--restart-on-exit-codes=75,124,134,137,143" in call
  [command] = [w for w in call if w.startswith("--command=")]
  words = shlex.split(command.partition("=")[2])
  assert words[:2] == ["bash", "-c"]
  assert words[2].endswith("--workdir=gs://B/run --mode=sample")
  assert "launch/env/tpu.env" in words[2]


@pytest.mark.parametrize("name", ["gpu", "tpu"])
def test_images_are_made_of_what_is_there(name):
  path = REPO / f"launch/Dockerfile.{name}"
  text = path.read_text()
  assert "USER user" in text  # not root: the compilation cache is code
  ignore = (REPO / f"launch/Dockerfile.{name}.dockerignore").read_text()
  kept = re.findall(r"^!(\S+)", ignore, re.M)
  assert {"setup.py", "threedim_jax", "configs", "launch"} <= set(kept)
  assert all((REPO / entry).exists() for entry in kept)
