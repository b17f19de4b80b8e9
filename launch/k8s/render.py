# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Prints a Kubernetes manifest for a run on GPU nodes or on a TPU slice.

  python launch/k8s/render.py gpu --name=NAME --image=IMAGE --config=C
      --workdir=gs://BUCKET/FOLDER --hosts=2 [--gpus=8] [-- FLAGS]
      | kubectl apply -f -
  python launch/k8s/render.py tpu --name=NAME --image=IMAGE --config=C
      --workdir=gs://BUCKET/FOLDER --accelerator=tpu-v6e-slice --topology=4x4

The manifest is a JobSet; the cluster must have https://jobset.sigs.k8s.io. The
image is built from launch/Dockerfile, and --config is a path in it. This
program only prints: the manifest to stdout, and how to follow, resume and
delete the run to stderr. It accepts --dry-run, which changes nothing.
"""

import argparse
import json
import math
import pathlib
import re
import shlex
import string
import sys
from typing import Any

TEMPLATE = pathlib.Path(__file__).parent / "jobset.yaml"
PORT = 8476  # JAX's coordinator; any free port of the pod
# {GKE's accelerator: chips of the largest slice that is a single machine}.
TPUS = {
  "tpu-v4-podslice": 4,
  "tpu-v5p-slice": 4,
  "tpu-v5-lite-podslice": 8,
  "tpu-v6e-slice": 8,
}
CHIPS_PER_HOST = 4  # in a slice of several hosts


def tpu_hosts(accelerator: str, topology: str) -> tuple[int, int]:
  """Returns the number of hosts of a slice, and of chips on each.

  Raises:
    ValueError: there is no such slice.
  """
  if not re.fullmatch(r"\d+x\d+(x\d+)?", topology):
    raise ValueError(f"--topology={topology} is not like 2x4 or 2x2x4")
  chips = math.prod(map(int, topology.split("x")))
  if chips <= TPUS[accelerator]:
    return 1, chips
  if chips % CHIPS_PER_HOST:
    raise ValueError(f"--topology={topology}: no slice has {chips} chips")
  return chips // CHIPS_PER_HOST, CHIPS_PER_HOST


def program(args: argparse.Namespace) -> str:
  """Returns the shell command of a pod, to run in the folder of the code."""
  words = ["python", "-u", "-m", "threedim_jax.main"]
  words += [f"--config={args.config}", f"--workdir={args.workdir}", *args.flags]
  return (
    "source launch/common.sh &&"
    f" use_env python launch/env/{args.kind}.env && exec {shlex.join(words)}"
  )


def gpu_values(args: argparse.Namespace) -> dict[str, Any]:
  # The name that JobSet gives to pod 0 of job 0.
  coordinator = f"{args.name}-worker-0-0.{args.name}:{PORT}"
  index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
  return {
    "hosts": args.hosts,
    "annotations": {},
    "node_selector": {},
    "env": [
      {"name": "JAX_COORDINATOR_ADDRESS", "value": coordinator},
      {"name": "JAX_NUM_PROCESSES", "value": str(args.hosts)},
      {
        "name": "JAX_PROCESS_ID",
        "valueFrom": {"fieldRef": {"fieldPath": index}},
      },
    ],
    "ports": [{"containerPort": PORT}],
    "limits": {"nvidia.com/gpu": args.gpus},
  }


def tpu_values(args: argparse.Namespace) -> dict[str, Any]:
  hosts, chips = tpu_hosts(args.accelerator, args.topology)
  # All pods on one node pool, which is one slice.
  topology = "alpha.jobset.sigs.k8s.io/exclusive-topology"
  return {
    "hosts": hosts,
    "annotations": {topology: "cloud.google.com/gke-nodepool"},
    "node_selector": {
      "cloud.google.com/gke-tpu-accelerator": args.accelerator,
      "cloud.google.com/gke-tpu-topology": args.topology,
    },
    "env": [],  # GKE tells the processes of each other
    "ports": [{"containerPort": 8471}, {"containerPort": 8482}],
    "limits": {"google.com/tpu": chips},
  }


def jobset(args: argparse.Namespace) -> str:
  if not re.fullmatch(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?", args.name):
    raise ValueError(
      f"--name={args.name}: use at most 42 of a-z, 0-9 and -, a letter first"
      " and no - last; the names of the pods start with it and end after 63"
    )
  if "://" not in args.workdir and not args.workdir.startswith("/"):
    raise ValueError(
      f"--workdir={args.workdir}: a pod's own disk is deleted with it; give a"
      " bucket (gs://...) or the absolute path of a shared file system"
    )
  values = {
    "name": args.name,
    "service_account": args.service_account,
    "image": args.image,
    "command": program(args),
    **(gpu_values(args) if args.kind == "gpu" else tpu_values(args)),
  }
  text = TEMPLATE.read_text()
  text = text[text.index("apiVersion:") :]  # without the comment about itself
  # JSON's strings, lists and maps are YAML as well.
  quoted = {name: json.dumps(value) for name, value in values.items()}
  return string.Template(text).substitute(quoted)


def parse_args(argv: list[str]) -> argparse.Namespace:
  end = argv.index("--") if "--" in argv else len(argv)
  parser = argparse.ArgumentParser(
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  kinds = parser.add_subparsers(dest="kind", required=True)
  for kind in ("gpu", "tpu"):
    sub = kinds.add_parser(kind, allow_abbrev=False)
    for name in ("--name", "--image", "--config", "--workdir"):
      sub.add_argument(name, required=True)
    sub.add_argument(
      "--service_account", default="default",
      help="of the pods; it must be able to write to --workdir",
    )  # fmt: skip
    sub.add_argument("--dry-run", "--dry_run", action="store_true")
    if kind == "gpu":
      sub.add_argument("--hosts", type=int, default=1)
      sub.add_argument("--gpus", type=int, default=8, help="of each host")
    else:
      sub.add_argument("--accelerator", required=True, choices=list(TPUS))
      sub.add_argument("--topology", required=True, help="2x4, 4x4x4, ...")
  args = parser.parse_args(argv[:end])
  args.flags = argv[end + 1 :]
  return args


def main(argv: list[str]) -> None:
  args = parse_args(argv[1:])
  try:
    print(jobset(args), end="", flush=True)
  except ValueError as e:
    print(f"error: {e}", file=sys.stderr)
    sys.exit(2)
  words = [w for w in argv if w not in ("--dry-run", "--dry_run")]
  label = f"--selector=jobset.sigs.k8s.io/jobset-name={args.name}"
  print(
    f"follow: kubectl logs -f {label} --prefix\n"
    f"state:  kubectl get jobset {args.name}\n"
    f"resume: {shlex.join(['python', *words])} | kubectl apply -f -"
    "  # delete it before\n"
    f"delete: kubectl delete jobset {args.name}",
    file=sys.stderr,
  )


if __name__ == "__main__":
  main(sys.argv)
