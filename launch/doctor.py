# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Looks at what a run needs, before it does, and says what to mend.

  python launch/doctor.py [--workdir=W | --workdir=gs://BUCKET/W]

One line a check: "ok", or "FIX" and how. The exit code is 0 if all is well and
2 if there is something to fix. --dry-run lists the checks; otherwise it writes,
reads and deletes one small file in the workdir and touches nothing else.
"""

import argparse
import ast
from importlib import metadata
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import subprocess
import sys
from typing import NamedTuple
import uuid

from env_flags import FLAG_VARIABLES, read_settings, unknown_flags

REPO = pathlib.Path(__file__).parents[1]
GIB = 2**30
MIN_MEMORY = 4 * GIB  # the quickstart takes 2.4 GB
MIN_SHM = GIB // 2  # a container's default is 64 MiB
MIN_DISK = 2 * GIB
MIN_FILES = 4096  # every shard of a data set is open, and every bucket socket
DEVICES_TIMEOUT_S = 180  # libtpu waits long for a chip that is in use
# Asks JAX in a process of its own: it may abort, hang, or hold the devices.
DEVICES_PROGRAM = """
import json, jax
devices = jax.local_devices()
stats = [device.memory_stats() or {} for device in devices]
print(json.dumps({
  "platform": devices[0].platform,
  "kind": devices[0].device_kind,
  "count": len(devices),
  "memory": min(s.get("bytes_limit", 0) for s in stats),
}))
"""


class Finding(NamedTuple):
  name: str
  text: str
  fix: str = ""  # empty: all is well


def requirements() -> list[str]:
  """install_requires of setup.py, read and not run."""
  for node in ast.walk(ast.parse((REPO / "setup.py").read_text())):
    if isinstance(node, ast.keyword) and node.arg == "install_requires":
      return ast.literal_eval(node.value)
  raise ValueError("setup.py has no install_requires")


def check_python() -> list[Finding]:
  """Python itself."""
  version = platform.python_version()
  fix = "" if sys.version_info >= (3, 11) else "use Python 3.11 or later"
  return [Finding("python", f"{version}, {sys.executable}", fix)]


def check_versions() -> list[Finding]:
  """Installed packages against the ranges of setup.py."""
  try:
    from packaging.requirements import Requirement
  except ImportError:
    return [Finding("versions", "nothing is installed", "pip install -e .")]
  findings, good = [], 0
  for text in requirements():
    wanted = Requirement(text)
    if wanted.marker and not wanted.marker.evaluate():
      continue
    try:
      version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
      version = "missing"
    if version != "missing" and wanted.specifier.contains(
      version, prereleases=True
    ):
      good += 1
      continue
    findings.append(
      Finding(
        "versions",
        f"{wanted.name} is {version}, setup.py asks for {wanted.specifier}",
        f"pip install '{text}'",
      )
    )
  jax = ", ".join(
    f"{name} {metadata.version(name)}"
    for name in ("jax", "jaxlib")
    if not any(f.text.startswith(f"{name} is missing") for f in findings)
  )
  return findings + [Finding("versions", f"{good} as in setup.py; {jax}")]


def accelerator_here() -> str:
  """gpu, tpu or an empty string, by the device files of this machine."""
  if list(pathlib.Path("/dev").glob("nvidia[0-9]*")):
    return "gpu"
  if list(pathlib.Path("/dev").glob("accel[0-9]*")):
    return "tpu"
  return ""


def check_devices() -> list[Finding]:
  """What JAX finds, with the settings of this shell."""
  try:
    result = subprocess.run(
      [sys.executable, "-c", DEVICES_PROGRAM],
      capture_output=True,
      text=True,
      timeout=DEVICES_TIMEOUT_S,
    )
  except subprocess.TimeoutExpired:
    return [
      Finding(
        "devices",
        f"JAX does not answer within {DEVICES_TIMEOUT_S} s",
        "another process may hold the chips: look for it with `fuser -v"
        " /dev/accel* /dev/nvidia*` and end it",
      )
    ]
  if result.returncode:
    last = (result.stderr.strip() or "no message").splitlines()[-1]
    fix = "see the message; with XLA_FLAGS and LIBTPU_INIT_ARGS unset, too?"
    return [Finding("devices", f"JAX does not start: {last[:200]}", fix)]
  found = json.loads(result.stdout.splitlines()[-1])
  text = f"{found['count']} x {found['kind']}"
  if found["memory"]:
    text += f", {found['memory'] / GIB:.1f} GiB each for JAX"
  fix, here = "", accelerator_here()
  if here and found["platform"] == "cpu":
    fix = (
      f"this machine has a {here.upper()} that JAX does not use: pip install -e"
      f" '.[{here}]', and unset JAX_PLATFORMS"
    )
  return [Finding("devices", text, fix)]


def check_memory() -> list[Finding]:
  """Of the host."""
  text = pathlib.Path("/proc/meminfo").read_text()
  free = int(re.search(r"MemAvailable:\s+(\d+) kB", text)[1]) * 1024
  fix = "" if free >= MIN_MEMORY else "close other programs"
  return [Finding("memory", f"{free / GIB:.1f} GiB available", fix)]


def check_shm(path: str = "/dev/shm") -> list[Finding]:
  """Shared memory, which NCCL and the data loader's processes use."""
  if not os.path.isdir(path):
    return [Finding("shm", f"no {path}", f"mount -t tmpfs tmpfs {path}")]
  free = shutil.disk_usage(path).free
  fix = "" if free >= MIN_SHM else (
    "docker run --shm-size=8g, or the volume `dshm` of launch/k8s; else as"
    f" root: mount -o remount,size=8g {path}"
  )  # fmt: skip
  return [Finding("shm", f"{free / GIB:.2f} GiB free in {path}", fix)]


def check_limits() -> list[Finding]:
  """Open files, and memory."""
  soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
  unlimited = resource.RLIM_INFINITY
  few = soft != unlimited and soft < MIN_FILES
  enough = hard == unlimited or hard >= MIN_FILES
  fix = ""
  if few:
    fix = "ulimit -n 65536" + ("" if enough else ", as root: the hard limit is")
    fix += "" if enough else f" {hard}"
  findings = [Finding("limits", f"{soft} open files", fix)]
  address, _ = resource.getrlimit(resource.RLIMIT_AS)
  if address != unlimited:
    text = f"address space limited to {address / GIB:.1f} GiB"
    findings.append(Finding("limits", text, "ulimit -v unlimited"))
  return findings


def check_workdir(workdir: str) -> list[Finding]:
  """A small file is written, read and deleted there."""
  gs = workdir.startswith("gs://")
  try:
    from etils import epath

    folder = epath.Path(workdir)
    # The folder itself may not exist yet: nothing is left behind.
    while not gs and not folder.exists():
      folder = folder.parent
    probe = folder / f".doctor_{uuid.uuid4().hex}"
    probe.write_text("probe")
    same = probe.read_text() == "probe"
    probe.unlink()
    gone = not probe.exists()
  except Exception as e:  # whatever the file system's client raises
    fix = f"chmod, chown, or another folder than {workdir}"
    if isinstance(e, ImportError):
      fix = "pip install -e '.[gcp]'" if gs else "pip install -e ."
    elif gs:
      fix = (
        "gcloud auth application-default login; the account needs the role"
        " roles/storage.objectUser on the bucket, which must exist"
      )
    text = f"{workdir}: {type(e).__name__}: {str(e)[:200]}"
    return [Finding("workdir", text, fix)]
  if not (same and gone):
    text = f"{workdir} does not give back, or keeps, what was written"
    return [Finding("workdir", text, "another file system; is this a cache?")]
  text, fix = f"{workdir}: written, read and deleted", ""
  if not gs:
    free = shutil.disk_usage(folder).free
    text += f"; {free / GIB:.0f} GiB free"
    if free < MIN_DISK:
      fix = "free some space; a checkpoint of the paper's model takes 7.4 GB"
  return [Finding("workdir", text, fix)]


def check_flags(folder: pathlib.Path = REPO / "launch/env") -> list[Finding]:
  """XLA flags of launch/env and of this shell, against this jaxlib."""
  origin = {}
  for path in sorted(folder.glob("*.env")):
    try:
      settings = read_settings(path, candidates=True)
    except ValueError as e:
      return [Finding("flags", str(e), "mend the line")]
    for flag in settings.get("XLA_FLAGS", []):
      origin[flag] = str(path)
  for flag in os.environ.get("XLA_FLAGS", "").split():
    origin[flag] = "XLA_FLAGS"
  try:
    unknown = unknown_flags(" ".join(origin))
  except RuntimeError as e:
    return [Finding("flags", str(e), "unset XLA_FLAGS, or mend its values")]
  findings = []
  for flag in unknown:
    fix = f"remove it from {origin.get(flag, 'XLA_FLAGS')}"
    if "xla_tpu" in flag:
      fix += "; flags of libtpu belong in LIBTPU_INIT_ARGS"
    elif origin.get(flag) != "XLA_FLAGS":
      fix += "; until then the launchers leave it out"
    findings.append(Finding("flags", f"this jaxlib does not know {flag}", fix))
  here = [name for name in FLAG_VARIABLES if os.environ.get(name)]
  text = f"{len(origin) - len(unknown)} known"
  return findings + [Finding("flags", text + f"; set here: {here or 'none'}")]


def checks(workdir: str) -> list:
  return [
    check_python,
    check_versions,
    check_flags,
    check_devices,
    check_memory,
    check_shm,
    check_limits,
    *([lambda: check_workdir(workdir)] if workdir else []),
  ]


def main(argv: list[str]) -> None:
  parser = argparse.ArgumentParser(
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  parser.add_argument("--workdir", default="", help="folder of the run")
  parser.add_argument("--dry-run", "--dry_run", action="store_true")
  args = parser.parse_args(argv[1:])
  if args.dry_run:
    for check in checks(""):
      print(f"{check.__name__.removeprefix('check_')}: {check.__doc__}")
    if args.workdir:
      print(f"workdir: {check_workdir.__doc__} ({args.workdir})")
    return
  to_fix = 0
  for check in checks(args.workdir):
    for finding in check():
      to_fix += bool(finding.fix)
      state = "FIX" if finding.fix else "ok"
      print(f"{state:<4} {finding.name}: {finding.text}", flush=True)
      if finding.fix:
        print(f"     -> {finding.fix}")
  print(f"{to_fix} to fix" if to_fix else "all is well")
  sys.exit(2 if to_fix else 0)


if __name__ == "__main__":
  main(sys.argv)
