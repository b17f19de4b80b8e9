# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Programs that tests start: on how many devices, with whom, how they end."""

from collections.abc import Callable, Sequence
import os
import pathlib
import socket
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).parents[2]


def free_port() -> int:
  """A TCP port of this machine on which nobody listens."""
  with socket.create_server(("", 0)) as server:
    return server.getsockname()[1]


def build_debug_data(data_dir: pathlib.Path) -> None:
  """shapes/debug through the command that users run."""
  subprocess.run(
    [
      sys.executable, REPO / "datasets/build.py", "shapes",
      "--config", "debug", "--data_dir", data_dir,
    ],
    check=True,
    env={**os.environ, "PYTHONPATH": str(REPO)},
  )  # fmt: skip


def start(
  arguments: Sequence,
  num_devices: int = 1,
  *,
  optimize: bool = False,
  **env: str,
) -> subprocess.Popen:
  """`python ARGUMENTS` in the repository, on CPU devices.

  Programs are compiled as cheaply as in the tests, or else with `optimize`.
  stdout holds stderr as well.
  """
  flags = [
    flag
    for flag in os.environ["XLA_FLAGS"].split()
    if "device_count" not in flag
    and not (optimize and "optimization_level" in flag)
  ]
  flags.append(f"--xla_force_host_platform_device_count={num_devices}")
  own = {"PYTHONPATH": str(REPO), "XLA_FLAGS": " ".join(flags)}
  return subprocess.Popen(
    [sys.executable, *map(str, arguments)],
    cwd=REPO,
    env={**os.environ, **own, **env},
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
  )


def start_peers(
  arguments: Sequence, count: int, num_devices: int = 1, **options
) -> list[subprocess.Popen]:
  """As many processes of one distributed program, each with its devices."""
  address = f"127.0.0.1:{free_port()}"
  return [
    start(
      arguments,
      num_devices,
      JAX_COORDINATOR_ADDRESS=address,
      JAX_NUM_PROCESSES=str(count),
      JAX_PROCESS_ID=str(rank),
      **options,
    )
    for rank in range(count)
  ]


def finish(process: subprocess.Popen, timeout: float = 600) -> tuple[int, str]:
  """Exit code and output, which is shown if the process does not end."""
  try:
    output, _ = process.communicate(timeout=timeout)
  except subprocess.TimeoutExpired:
    process.kill()
    raise AssertionError(process.communicate()[0][-3000:]) from None
  return process.returncode, output


def finish_all(processes: Sequence) -> list[tuple[int, str]]:
  """`finish` of each; none is left behind."""
  try:
    return [finish(process) for process in processes]
  finally:
    for process in processes:
      process.kill()


def wait_until(
  condition: Callable[[], object],
  process: subprocess.Popen | None = None,
  seconds: float = 120,
) -> None:
  """Waits; fails after `seconds`, or if the process ends before."""
  deadline = time.monotonic() + seconds
  while not condition():
    if process is not None:
      assert process.poll() is None, process.communicate()[0][-3000:]
    assert time.monotonic() < deadline, "it does not happen"
    time.sleep(0.002)
