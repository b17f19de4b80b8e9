# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks what a run needs before it starts, and says how to fix what is wrong.

  python launch/doctor.py [--workdir=W | --workdir=gs://BUCKET/W]

Prints a line for each thing: "ok", or "FIX" and how. Exits with 0, or with 2 if
there is something to fix. It writes, reads and deletes one small file in the
workdir and changes nothing else.
"""

import argparse
from collections.abc import Iterator
import glob
from importlib import metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import uuid

GIB = 2**30
MIN_MEMORY = 4 * GIB  # the quickstart takes 2.4 GB
MIN_SHM = GIB // 2  # Docker's default is 64 MiB
MIN_DISK = 2 * GIB
DEVICES_TIMEOUT_S = 180  # libtpu waits long for a chip that is in use
DEVICE_FILES = {
  "/dev/nvidia[0-9]*": "gpu",
  "/dev/accel[0-9]*": "tpu",
  "/dev/vfio/[0-9]*": "tpu",
}
DEVICES_PROGRAM = """
import jax
devices = jax.local_devices()
print(len(devices), "x", devices[0].device_kind, "on", devices[0].platform)
"""

# (what was found, how to fix it); the fix is empty if all is well.
Finding = tuple[str, str]


def check_packages() -> Iterator[Finding]:
  """Compares the installed packages with the ranges of setup.py."""
  try:
    from packaging.requirements import Requirement

    wanted = map(Requirement, metadata.requires("threedim_jax") or [])
  except (ImportError, metadata.PackageNotFoundError):
    yield "threedim_jax is not installed", "pip install -e ."
    return
  for package in wanted:
    if package.marker and not package.marker.evaluate({"extra": ""}):
      continue
    try:
      version = metadata.version(package.name)
      good = package.specifier.contains(version, prereleases=True)
    except metadata.PackageNotFoundError:
      version, good = "is missing", False
    if not good or package.name == "jax":
      fix = "" if good else f"pip install '{package.name}{package.specifier}'"
      yield f"{package.name} {version}, {sys.executable}", fix


def check_devices() -> Iterator[Finding]:
  """Asks JAX for its devices, in another process, because JAX may abort."""
  command = [sys.executable, "-c", DEVICES_PROGRAM]
  try:
    result = subprocess.run(
      command, capture_output=True, text=True, timeout=DEVICES_TIMEOUT_S
    )
  except subprocess.TimeoutExpired:
    fix = "another process may hold the chips: find it with `fuser -v /dev/*`"
    yield f"JAX does not answer within {DEVICES_TIMEOUT_S} s", fix
    return
  if result.returncode:
    lines = result.stderr.strip().splitlines() or ["no message"]
    lines = [line for line in lines if "Unknown flag" in line] or lines
    fix = (
      "try again without XLA_FLAGS and LIBTPU_INIT_ARGS; --xla_tpu_* flags"
      " belong in LIBTPU_INIT_ARGS"
    )
    yield f"JAX does not start: {lines[-1][-200:]}", fix
    return
  text, fix = result.stdout.splitlines()[-1], ""
  here = [name for files, name in DEVICE_FILES.items() if glob.glob(files)]
  if here and text.endswith("cpu"):
    text += f", but this machine has a {here[0].upper()}"
    fix = f"unset JAX_PLATFORMS; pip install -e '.[{here[0]}]'"
  yield text, fix


def check_machine() -> Iterator[Finding]:
  """Checks the free memory and shared memory."""
  text = pathlib.Path("/proc/meminfo").read_text()
  free = int(re.search(r"MemAvailable:\s+(\d+) kB", text)[1]) * 1024
  fix = "" if free >= MIN_MEMORY else "close other programs"
  yield f"{free / GIB:.1f} GiB of memory available", fix
  # NCCL and the processes of the data loader use it.
  free = shutil.disk_usage("/dev/shm").free if os.path.isdir("/dev/shm") else 0
  fix = "docker run --shm-size=8g, or mount a larger tmpfs on /dev/shm"
  yield (
    f"{free / GIB:.2f} GiB of shared memory free",
    "" if free >= MIN_SHM else fix,
  )


def check_workdir(workdir: str) -> Iterator[Finding]:
  """Checks that a small file can be written, read and deleted."""
  is_bucket, fix = workdir.startswith("gs://"), ""
  try:
    from etils import epath

    # The first folder that exists, so that nothing is left behind.
    folder = epath.Path(workdir).expanduser()
    while not is_bucket and not folder.exists():
      folder = folder.parent
    probe = folder / f".doctor_{uuid.uuid4().hex}"
    probe.write_text("probe")
    probe.read_text()
    probe.unlink()
    text = f"{workdir}: written, read and deleted"
    if not is_bucket and shutil.disk_usage(folder).free < MIN_DISK:
      fix = "delete something; a checkpoint of the full model takes 7.4 GB"
  except ImportError as e:
    text = f"{workdir}: {e}"
    fix = "pip install -e '.[gcp]'" if is_bucket else "pip install -e ."
  except Exception as e:  # whatever the file system's client raises
    text = f"{workdir}: {type(e).__name__}: {str(e)[:200]}"
    fix = "chmod or chown it, or choose another folder"
    if is_bucket:
      fix = (
        "gcloud auth application-default login; the bucket must exist, and the"
        " account needs the role roles/storage.objectUser on it"
      )
  yield text, fix


def main(argv: list[str]) -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, allow_abbrev=False,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )  # fmt: skip
  parser.add_argument("--workdir", help="folder of the run")
  workdir = parser.parse_args(argv[1:]).workdir
  checks = {
    "packages": check_packages(),
    "devices": check_devices(),
    "machine": check_machine(),
    "workdir": check_workdir(workdir) if workdir else (),
  }
  to_fix = 0
  for name, findings in checks.items():
    for text, fix in findings:
      to_fix += bool(fix)
      print(f"{'FIX' if fix else 'ok':<4} {name}: {text}", flush=True)
      if fix:
        print(f"     -> {fix}")
  print(f"{to_fix} to fix" if to_fix else "all is well")
  sys.exit(2 if to_fix else 0)


if __name__ == "__main__":
  main(sys.argv)
