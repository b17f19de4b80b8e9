# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Prints Kubernetes manifests; it applies nothing and needs no package.

  python launch/k8s/render.py gpu --name=NAME --image=IMAGE --config=C
      --workdir=gs://BUCKET/FOLDER --hosts=2 [--gpus=8] [-- FLAGS]
      | kubectl apply -f -
  python launch/k8s/render.py tpu --name=NAME --image=IMAGE --config=C
      --workdir=gs://BUCKET/FOLDER --accelerator=tpu-v6e-slice --topology=4x4
  python launch/k8s/render.py rbac [--gcp_service_account=NAME@PROJECT.iam...]

gpu and tpu print a JobSet (https://jobset.sigs.k8s.io, which the cluster must
have), rbac the account that its pods run as; apply that first, once. The image
is that of launch/Dockerfile.gpu or .tpu. How to follow, resume and delete the
run goes to stderr. --dry-run is accepted and changes nothing: printing is all
that this does.
"""

import argparse
import json
import math
import pathlib
import re
import shlex
import string
import sys

FOLDER = pathlib.Path(__file__).parent
PORT = 8476  # JAX's coordinator; any free one of the pod
# GKE's accelerators: chips of the largest machine that is a slice by itself.
TPUS = {
  "tpu-v4-podslice": 4,
  "tpu-v5p-slice": 4,
  "tpu-v5-lite-podslice": 8,
  "tpu-v6e-slice": 8,
}
CHIPS_PER_HOST = 4  # of a slice of several hosts


def tpu_hosts(accelerator: str, topology: str) -> tuple[int, int]:
  """Hosts of a slice, and chips of each.

  Raises:
    ValueError: the accelerator is unknown, or there is no such slice.
  """
  if accelerator not in TPUS:
    raise ValueError(
      f"--accelerator={accelerator} is none of {', '.join(TPUS)}"
    )
  if not re.fullmatch(r"\d+x\d+(x\d+)?", topology):
    raise ValueError(f"--topology={topology} is not like 2x4 or 2x2x4")
  chips = math.prod(map(int, topology.split("x")))
  if chips <= TPUS[accelerator]:
    return 1, chips
  if chips % CHIPS_PER_HOST:
    raise ValueError(f"--topology={topology}: no slice has {chips} chips")
  return chips // CHIPS_PER_HOST, CHIPS_PER_HOST


def program(env: str, config: str, workdir: str, flags: list[str]) -> str:
  """The shell command of a pod, in the folder of the code."""
  words = ["python", "-u", "-m", "threedim_jax.main"]
  words += [f"--config={config}", f"--workdir={workdir}", *flags]
  settings = f"python launch/env_flags.py launch/env/{env}.env"
  return f'settings=$({settings}) && eval "$settings" && exec ' + shlex.join(
    words
  )


def render(template: str, values: dict) -> str:
  """Fills in a template; JSON's strings and maps are YAML as well."""
  text = (FOLDER / template).read_text()
  text = text[text.index("apiVersion:") :]  # less what is said to its reader
  quoted = {name: json.dumps(value) for name, value in values.items()}
  return string.Template(text).substitute(quoted)


def jobset(args: argparse.Namespace) -> str:
  if not re.fullmatch(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?", args.name):
    raise ValueError(
      f"--name={args.name}: at most 42 of a-z, 0-9 and -, a letter first, no -"
      " last; the pods' names are made from it and have 63 at most"
    )
  if "://" not in args.workdir and not args.workdir.startswith("/"):
    raise ValueError(
      f"--workdir={args.workdir}: a pod's own disk goes with it; give a bucket"
      " (gs://...) or the absolute path of a shared file system"
    )
  values = {
    "name": args.name,
    "namespace": args.namespace,
    "service_account": args.service_account,
    "image": args.image,
    "max_restarts": args.max_restarts,
    "grace": args.grace,
    "command": program(args.kind, args.config, args.workdir, args.flags),
  }
  if args.kind == "gpu":
    values |= {
      "hosts": args.hosts,
      "chips": args.gpus,
      "node_selector": dict(args.node_selector),
      # The name that JobSet gives to pod 0 of job 0.
      "coordinator": f"{args.name}-worker-0-0.{args.name}:{PORT}",
      "num_processes": str(args.hosts),
      "port": PORT,
    }
  else:
    hosts, chips = tpu_hosts(args.accelerator, args.topology)
    values |= {"hosts": hosts, "chips": chips}
    values["node_selector"] = {
      "cloud.google.com/gke-tpu-accelerator": args.accelerator,
      "cloud.google.com/gke-tpu-topology": args.topology,
      **dict(args.node_selector),
    }
  return render(f"jobset-{args.kind}.yaml", values)


def rbac(args: argparse.Namespace) -> str:
  annotations = {}
  if args.gcp_service_account:
    annotations["iam.gke.io/gcp-service-account"] = args.gcp_service_account
  return render(
    "rbac.yaml",
    {
      "service_account": args.service_account,
      "namespace": args.namespace,
      "account_annotations": annotations,
    },
  )


def _key_value(text: str) -> tuple[str, str]:
  key, equals, value = text.partition("=")
  if not equals:
    raise argparse.ArgumentTypeError(f"{text!r} is not LABEL=VALUE")
  return key, value


def parse_args(argv: list[str]) -> argparse.Namespace:
  flags = []
  if "--" in argv:
    index = argv.index("--")
    argv, flags = argv[:index], argv[index + 1 :]
  parser = argparse.ArgumentParser(
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  kinds = parser.add_subparsers(dest="kind", required=True)
  for kind in ("gpu", "tpu", "rbac"):
    sub = kinds.add_parser(kind, allow_abbrev=False)
    sub.add_argument("--namespace", default="default")
    sub.add_argument("--service_account", default="threedim-jax")
    sub.add_argument("--dry-run", "--dry_run", action="store_true")
    if kind == "rbac":
      sub.add_argument("--gcp_service_account")
      continue
    for name in ("--name", "--image", "--config", "--workdir"):
      sub.add_argument(name, required=True)
    sub.add_argument("--max_restarts", type=int, default=100)
    sub.add_argument("--grace", type=int, default=300, help="seconds to save")
    sub.add_argument(
      "--node_selector", type=_key_value, action="append", default=[],
      metavar="LABEL=VALUE", help="as cloud.google.com/gke-spot=true",
    )  # fmt: skip
    if kind == "gpu":
      sub.add_argument("--hosts", type=int, default=1)
      sub.add_argument("--gpus", type=int, default=8, help="of each host")
    else:
      sub.add_argument("--accelerator", required=True, choices=list(TPUS))
      sub.add_argument("--topology", required=True, help="as 2x4 or 4x4x4")
  args = parser.parse_args(argv)
  args.flags = flags
  return args


def main(argv: list[str]) -> None:
  args = parse_args(argv[1:])
  try:
    print(
      rbac(args) if args.kind == "rbac" else jobset(args), end="", flush=True
    )
  except ValueError as e:
    print(f"error: {e}", file=sys.stderr)
    sys.exit(2)
  words = [w for w in argv if w not in ("--dry-run", "--dry_run")]
  command = shlex.join(["python", *words])
  where = f"--namespace={shlex.quote(args.namespace)}"
  if args.kind == "rbac":
    notes = [f"delete: {command} | kubectl delete -f -"]
  else:
    notes = [
      f"follow: kubectl logs {where} -f"
      f" --selector=jobset.sigs.k8s.io/jobset-name={args.name} --prefix",
      f"state:  kubectl get jobset {where} {args.name}",
      f"resume: {command} | kubectl apply -f -  # delete it before",
      f"delete: kubectl delete jobset {where} {args.name}",
    ]
  print("\n".join(notes), file=sys.stderr)


if __name__ == "__main__":
  main(sys.argv)
