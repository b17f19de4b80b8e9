# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Waits until every process of a run has started, and names missing processes.

`jax.distributed.initialize` waits silently for missing processes, then aborts
with a C++ stack trace. This module runs before that, and can say which
processes are missing. Process 0 listens on the coordinator's port. Every other
process connects and sends its number. When all have connected, process 0 closes
the port, so that JAX's own coordinator can use the port next, and tells the
others to go on.
"""

import re
import selectors
import socket
import sys
import time

from threedim_jax.runtime.errors import UserError

TIMEOUT_SECONDS = 300  # as long as JAX waits
NOTICE_SECONDS = 20
_GO = "go"
_REFUSED = "refused: "


class NotAllStarted(Exception):
  """Says that some processes did not start in time; the message names them."""


class _Clock:
  """Measures how long a process has waited for others, and limits the wait.

  The waiting process calls `check` again and again, with the reason for the
  wait. Every `notice_s` seconds, `check` prints the reason. After `timeout_s`
  seconds, `check` raises `NotAllStarted`.
  """

  def __init__(self, timeout_s: float, notice_s: float):
    self.start = time.monotonic()
    self.timeout_s, self.notice_s = timeout_s, notice_s
    self.next_notice = notice_s

  def check(self, reason: str) -> None:
    waited = time.monotonic() - self.start
    if waited >= self.timeout_s:
      raise NotAllStarted(f"gave up after {self.timeout_s:.0f} s: {reason}")
    if waited >= self.next_notice:
      self.next_notice += self.notice_s
      print(f"{reason} ({waited:.0f} s)", file=sys.stderr, flush=True)


def wait_until_all_started(
  address: str,
  num_processes: int,
  process_id: int,
  *,
  timeout_s: float = TIMEOUT_SECONDS,
  notice_s: float = NOTICE_SECONDS,
) -> None:
  """Waits until all processes of the run have called this function.

  Args:
    address: HOST:PORT of process 0.
    num_processes: number of processes, including this one.
    process_id: number of this process, from 0.
    timeout_s: how long to wait for the other processes, in seconds.
    notice_s: seconds between messages on stderr that name missing processes.

  Raises:
    NotAllStarted: a process is missing after `timeout_s`.
    UserError: two processes have the same number or disagree about
      `num_processes`, or the port is in use.
  """
  clock = _Clock(timeout_s, notice_s)
  host, _, port = address.rpartition(":")
  if process_id == 0:
    _gather(int(port), num_processes, clock)
  else:
    me = f"process {process_id} of {num_processes}"
    _announce(host.strip("[]"), int(port), me, clock)


def _gather(port: int, num_processes: int, clock: _Clock) -> None:
  """Waits until every other process has connected, then tells them to go on.

  Only process 0 calls this function.
  """
  present: dict[int, socket.socket] = {}
  with _listen(port) as server, selectors.DefaultSelector() as selector:
    selector.register(server, selectors.EVENT_READ)
    while missing := set(range(1, num_processes)) - present.keys():
      for key, _ in selector.select(timeout=0.2):
        if key.fileobj is server:
          selector.register(server.accept()[0], selectors.EVENT_READ)
          continue
        # A process has sent its number, or has ended.
        connection = key.fileobj
        index = _read_number(connection, num_processes, present)
        if index is not None:
          present[index] = connection
        else:
          selector.unregister(connection)
          connection.close()
          present = {i: c for i, c in present.items() if c is not connection}
      try:
        clock.check(
          f"process 0 of {num_processes} waits for {_names(missing)}: was each"
          f" of them started, and can it reach port {port} of this host?"
        )
      except NotAllStarted as e:
        _answer(present.values(), str(e))
        raise
  _answer(present.values(), _GO)


def _listen(port: int) -> socket.socket:
  dual = socket.has_dualstack_ipv6()
  family = socket.AF_INET6 if dual else socket.AF_INET
  try:
    return socket.create_server(
      ("", port), family=family, dualstack_ipv6=dual, backlog=1024
    )
  except OSError as e:
    raise UserError(
      f"process 0 cannot listen on port {port} ({e.strerror}): choose another"
      " one, in JAX_COORDINATOR_ADDRESS or, in a SLURM job, by"
      " JAX_COORDINATOR_PORT"
    ) from e


def _read_number(connection, num_processes: int, present) -> int | None:
  """Reads the number that another process has sent.

  Only process 0 calls this function. `present` holds the numbers of the
  processes that have connected.

  Returns:
    The number of the other process. None if that process has ended, or if it
    was refused because its number is taken or its `num_processes` differs.
  """
  try:
    text = connection.recv(64).decode(errors="replace")
  except OSError:
    return None
  match = re.fullmatch(r"process (\d+) of (\d+)\n", text)
  if not match:
    return None
  index, count = map(int, match.groups())
  if count != num_processes:
    text = f"{_REFUSED}process 0 was told of {num_processes} processes"
  elif index in present:
    text = f"{_REFUSED}another process {index} is there already"
  else:
    return index
  _answer([connection], text)
  return None


def _answer(connections, text: str) -> None:
  for connection in connections:
    try:
      connection.sendall(text.encode())
      connection.close()
    except OSError:
      pass  # that process has ended; JAX notices


def _announce(host: str, port: int, me: str, clock: _Clock) -> None:
  """Sends this process's number to process 0, and waits for its answer.

  Every process except process 0 calls this function. If process 0 cannot be
  reached, the function tries again until the timeout, when `clock` raises
  `NotAllStarted`. `host` and `port` are those of process 0, and `me` is this
  process, such as "process 3 of 8".

  Raises:
    NotAllStarted: a process is missing after the timeout.
    UserError: process 0 refuses this process.
  """
  while True:
    answer = ""
    try:
      with socket.create_connection((host, port), timeout=5) as connection:
        connection.sendall(f"{me}\n".encode())
        connection.settimeout(clock.timeout_s)
        answer = connection.recv(1024).decode(errors="replace")
        reason = "it closed the connection"
    except OSError as e:
      reason = e.strerror or str(e)
    if answer == _GO:
      return
    if answer.startswith(_REFUSED):
      raise UserError(f"{me} was {answer}")
    if answer:
      raise NotAllStarted(answer)
    clock.check(f"{me} does not reach process 0 at {host}:{port}: {reason}")
    time.sleep(0.5)


def _names(indices: set[int]) -> str:
  """Formats numbers as "process 3" or "processes 1, 2, ... (250 of them)"."""
  text = ", ".join(str(index) for index in sorted(indices)[:8])
  if len(indices) > 8:
    text += f", ... ({len(indices)} of them)"
  return f"process{'es' if len(indices) > 1 else ''} {text}"
