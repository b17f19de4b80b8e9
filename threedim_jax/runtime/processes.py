# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Joins the processes of a run, whichever launcher started them.

Call `maybe_initialize()` before any other use of JAX. It recognises these
launchers, in this order: JAX's own variables in the environment, Open MPI,
MPICH and Intel MPI, SLURM, TPU hosts, Kubernetes. A process alone does not wait
for others.

  print(maybe_initialize())  # process 0/2 on host-a: 4 of 8 devices, TPU v5e
  ...
  wait_for_all("all views are there")
"""

from collections.abc import Iterator, Mapping
import contextlib
import importlib.util
import itertools
import os
import re
import socket
import sys
import threading
from typing import Any

import jax

from threedim_jax.runtime import roll_call
from threedim_jax.runtime.errors import EXIT_PREEMPTED, UserError, first_line
from threedim_jax.runtime.stop_signal import StopSignal

# JAX itself reads only the first variable; this module passes on the others.
EXPLICIT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")

# A process that ends with an error waits this long for the others to end. A
# process that has finished its work waits in `wait_for_all` instead.
SHUTDOWN_SECONDS = 20
LONGEST_WAIT_SECONDS = 30 * 24 * 3600

EXIT_LOST_PEER = 134  # the exit code if JAX itself aborts (SIGABRT)

_barrier_numbers = itertools.count()


def maybe_initialize(environ: Mapping[str, str] = os.environ) -> str:
  """Joins the other processes of the run, if there are any.

  `environ` holds the environment variables.

  Returns:
    A line that describes this process and its devices.

  Raises:
    UserError: the environment contradicts itself, joining fails, or JAX cannot
      use the platform that JAX_PLATFORMS names.
    SystemExit: with code 134 if some process has not started after five
      minutes. Until then, stderr names the missing processes. This applies if
      SLURM or JAX's own variables describe the run. With other launchers, JAX
      itself waits.
  """
  options = plan(environ)
  if options is not None and not jax.distributed.is_initialized():
    try:
      _join(options)
    except roll_call.NotAllStarted as e:
      print(f"error: {e}", file=sys.stderr, flush=True)
      raise SystemExit(EXIT_LOST_PEER) from e
    except (RuntimeError, ValueError) as e:
      raise UserError(
        f"this process could not join the others ({e}). Is every process"
        " started with the same address, and does no firewall stand between"
        " them?"
      ) from e
  devices = _local_devices(environ.get("JAX_PLATFORMS"))
  return (
    f"process {jax.process_index()}/{jax.process_count()} on"
    f" {socket.gethostname()}: {len(devices)} of {jax.device_count()} devices,"
    f" {devices[0].device_kind}"
  )


def _local_devices(platforms: str | None) -> list[jax.Device]:
  """Returns this process's devices.

  `platforms` is the value of JAX_PLATFORMS; None or "" if it is not set.

  Raises:
    UserError: JAX cannot use these platforms.
  """
  try:
    return jax.local_devices()
  except (AssertionError, RuntimeError) as e:
    # JAX raises an AssertionError without text if "cuda" is not installed.
    unusable = isinstance(e, AssertionError) or (
      "Unable to initialize backend" in str(e)
    )
    if not platforms or not unusable:
      raise
    raise UserError(
      f"JAX cannot use JAX_PLATFORMS={platforms} ({first_line(e)}): unset it,"
      " or install that platform's package"
    ) from e


def _join(options: dict[str, Any]) -> None:
  if options.get("cluster_detection_method") == "mpi4py":
    _check_mpi4py()
  if "coordinator_address" in options:
    roll_call.wait_until_all_started(
      options["coordinator_address"],
      options["num_processes"],
      options["process_id"],
    )
  notice = threading.Timer(
    roll_call.NOTICE_SECONDS,
    print,
    ["this process waits for the others; was each of them started?"],
    {"file": sys.stderr, "flush": True},
  )
  notice.daemon = True
  notice.start()
  try:
    with _without_proxies():
      jax.distributed.initialize(
        **options, shutdown_timeout_seconds=SHUTDOWN_SECONDS
      )
  finally:
    notice.cancel()


def _check_mpi4py() -> None:
  """Raises a UserError if mpi4py does not find the other processes."""
  fix = f"pip install mpi4py, or set {', '.join(EXPLICIT)} for each process"
  try:
    mpi = importlib.import_module("mpi4py.MPI")
  except (ImportError, RuntimeError) as e:  # RuntimeError: no MPI library
    raise UserError(
      "mpirun started several processes, which find each other through mpi4py,"
      f" but it does not load ({e}): {fix}"
    ) from e
  if mpi.COMM_WORLD.Get_size() == 1:
    raise UserError(
      "mpirun started several processes, but mpi4py finds one: it uses another"
      f" MPI than this mpirun. Build mpi4py with this one, or: {fix}"
    )


@contextlib.contextmanager
def _without_proxies() -> Iterator[None]:
  """Hides `http_proxy` and similar variables while JAX opens its connections.

  JAX's network library, gRPC, would send everything through the proxy, even to
  this machine. A proxy does not know the hosts of a cluster.
  """
  names = [name for name in os.environ if name.lower().endswith("_proxy")]
  hidden = {name: os.environ.pop(name) for name in names}
  try:
    yield
  finally:
    os.environ.update(hidden)


def wait_for_all(name: str) -> None:
  """Waits until every process of the run has called this function.

  All processes must call the function equally often. Unlike a collective
  operation on the devices, the wait may take hours, and SIGTERM ends the wait.
  If a process dies meanwhile, the others exit within two minutes.

  Args:
    name: what the processes wait for; the same in all processes.

  Raises:
    SystemExit: with code 75 after SIGTERM, or 134 if another process failed.
  """
  if jax.process_count() == 1:
    return
  # Imported here, so that a process on its own does not load Orbax.
  from orbax.checkpoint import multihost

  everyone = set(range(jax.process_count()))
  wait = multihost.get_barrier_sync_fn(processes=everyone)
  key = f"{name} {next(_barrier_numbers)}"
  errors = []

  def run():
    try:
      wait(key=key, timeout_ms=LONGEST_WAIT_SECONDS * 1000)
    except Exception as e:  # the main thread reports it
      errors.append(e)

  # Another thread waits, because no signal handler runs while the main thread
  # waits in C++.
  thread = threading.Thread(target=run, daemon=True)
  with StopSignal(together=False) as stop:
    thread.start()
    while thread.is_alive():
      thread.join(0.1)
      if stop.poll():
        raise SystemExit(EXIT_PREEMPTED)
  if errors:
    print(
      f"another process failed, see its output ({errors[0]})", file=sys.stderr
    )
    raise SystemExit(EXIT_LOST_PEER)


def plan(environ: Mapping[str, str]) -> dict[str, Any] | None:
  """Returns the arguments for `jax.distributed.initialize`, or None.

  None means that this process was started alone. `initialize` must then not be
  called, because JAX could wait in vain for other processes. JAX detects most
  launchers by itself, and the result is then {}. The result has entries in
  three cases: the environment variables in `EXPLICIT` are set; an MPI is used
  that JAX does not detect; or SLURM is used, where JAX would leave devices
  idle.

  Raises:
    UserError: the variables in `environ` contradict each other.
  """
  if any(name in environ for name in EXPLICIT):
    return _explicit(environ)
  # Before SLURM: mpirun inside a SLURM job has its own ranks.
  if int(environ.get("OMPI_COMM_WORLD_SIZE", 1)) > 1:
    # Open MPI 5 no longer sets the variable that JAX needs. mpi4py asks MPI.
    old = "OMPI_MCA_orte_hnp_uri" in environ
    return {} if old else {"cluster_detection_method": "mpi4py"}
  # SLURM_NTASKS counts the tasks of the job. A step of the job may have fewer.
  tasks = int(environ.get("SLURM_STEP_NUM_TASKS", 1))
  # MPICH and Intel MPI set PMI_SIZE. So does `srun`, to its number of tasks.
  # An mpirun in a SLURM job starts one task for each node instead.
  ranks = int(environ.get("PMI_SIZE", 1))
  if ranks > 1 and ranks != tasks:
    return {"cluster_detection_method": "mpi4py"}
  if tasks > 1:
    return _slurm(environ)
  if "," in environ.get("TPU_WORKER_HOSTNAMES", "") or any(
    name.startswith("MEGASCALE_") for name in environ
  ):
    return {}
  if "JOB_COMPLETION_INDEX" in environ and (
    "KUBERNETES_SERVICE_HOST" in environ
  ):
    return _kubernetes()
  return {} if _on_tpu_vm(environ) else None


def _explicit(environ: Mapping[str, str]) -> dict[str, Any]:
  missing = [name for name in EXPLICIT if name not in environ]
  if missing:
    raise UserError(
      f"{', '.join(EXPLICIT)} belong together, but {', '.join(missing)} is"
      " not set: set all three, or none for a process alone"
    )
  address, *numbers = (environ[name] for name in EXPLICIT)
  if not re.fullmatch(r".+:\d+", address):
    raise UserError(f"JAX_COORDINATOR_ADDRESS={address} must be HOST:PORT")
  if not all(n.isdecimal() for n in numbers) or (
    int(numbers[1]) >= int(numbers[0])
  ):
    raise UserError(
      f"JAX_PROCESS_ID={numbers[1]} must be one of 0 to"
      f" JAX_NUM_PROCESSES - 1, and JAX_NUM_PROCESSES={numbers[0]} a number"
    )
  return {
    "coordinator_address": address,
    "num_processes": int(numbers[0]),
    "process_id": int(numbers[1]),
  }


def _slurm(environ: Mapping[str, str]) -> dict[str, Any]:
  """Returns the arguments for processes that one `srun` of a SLURM job started.

  JAX itself would wait for all tasks of the job, even those that another `srun`
  started.
  """
  # The first host of a list like "node1,node3" or "node[01-04,07]".
  nodes = environ["SLURM_STEP_NODELIST"]
  prefix, number = re.match(r"([^\[,]+)(?:\[(\d+))?", nodes).groups(default="")
  # A port in the range that JAX uses, different for each step of a job.
  job, step = (int(environ[f"SLURM_{x}_ID"]) for x in ("JOB", "STEP"))
  port = environ.get("JAX_COORDINATOR_PORT", 61440 + (job + 64 * step) % 4096)
  return {
    "coordinator_address": f"{prefix}{number}:{port}",
    "num_processes": int(environ["SLURM_STEP_NUM_TASKS"]),
    "process_id": int(environ["SLURM_PROCID"]),
    "local_device_ids": _slurm_devices(environ),
  }


def _slurm_devices(environ: Mapping[str, str]) -> list[int] | None:
  """Returns the indices of the GPUs that this process uses under SLURM.

  By itself, JAX would take one GPU for each process. If a node runs a single
  process, all other GPUs would stay idle without a warning. The result is None
  if CUDA_VISIBLE_DEVICES names no GPU; JAX then chooses.
  """
  visible = environ.get("CUDA_VISIBLE_DEVICES")
  if not visible:
    return None
  num_gpus = len(visible.split(","))
  if num_gpus == 1:
    return [0]
  tasks = _tasks_on_node(environ)
  if num_gpus % tasks:
    raise UserError(
      f"{tasks} tasks on this node cannot share its {num_gpus} GPUs evenly:"
      " set --ntasks-per-node to 1 or to the number of GPUs"
    )
  share = num_gpus // tasks
  first = int(environ["SLURM_LOCALID"]) * share
  return list(range(first, first + share))


def _tasks_on_node(environ: Mapping[str, str]) -> int:
  """Returns the number of SLURM tasks on this node.

  SLURM_STEP_TASKS_PER_NODE lists the numbers for all nodes: "8(x2),4" means 8,
  8 and 4 tasks.
  """
  node = int(environ.get("SLURM_NODEID", 0))
  for part in environ["SLURM_STEP_TASKS_PER_NODE"].split(","):
    count, repeats = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part).groups()
    node -= int(repeats or 1)
    if node < 0:
      return int(count)
  return int(count)


def _kubernetes() -> dict[str, Any]:
  if importlib.util.find_spec("kubernetes") is None:
    raise UserError(
      "an indexed job on Kubernetes needs the package `kubernetes` to find its"
      " other pods: pip install 'jax[k8s]', or set"
      f" {', '.join(EXPLICIT)}"
    )
  return {}


def _on_tpu_vm(environ: Mapping[str, str]) -> bool:
  """Tells whether this is a Cloud TPU VM whose metadata JAX may query."""
  platforms = environ.get("JAX_PLATFORMS", "tpu")
  return (
    "tpu" in platforms
    and "TPU_SKIP_MDS_QUERY" not in environ
    and importlib.util.find_spec("libtpu") is not None
    and bool(
      [d for d in os.listdir("/dev") if re.fullmatch(r"accel\d+|vfio", d)]
    )
  )
