# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Processes wait for each other by name. Here they are threads."""

from concurrent import futures
import socket
import time

from programs import free_port
import pytest

from threedim_jax.runtime import roll_call
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.roll_call import NotAllStarted


@pytest.fixture
def port():
  return free_port()


@pytest.fixture
def meet(port):
  """Starts `wait_until_all_started(index, count)`; returns its future."""
  pool = futures.ThreadPoolExecutor(8)

  def start(index, count, *, timeout_s=20.0, notice_s=60.0):
    return pool.submit(
      roll_call.wait_until_all_started,
      f"localhost:{port}",
      count,
      index,
      timeout_s=timeout_s,
      notice_s=notice_s,
    )

  yield start
  pool.shutdown()


def listens(port: int) -> bool:
  with socket.socket() as s:
    return s.connect_ex(("localhost", port)) == 0


def test_all_go_on_together_and_the_port_is_free_again(meet, port):
  others = [meet(index, 4) for index in (3, 1)]  # before process 0 listens
  others += [meet(0, 4)]
  time.sleep(1.0)
  assert not any(process.done() for process in others)
  for process in [*others, meet(2, 4)]:
    process.result()
  with socket.create_server(("", port)):
    pass


def test_missing_processes_are_named_to_everyone(meet, capsys):
  first = meet(0, 4, timeout_s=3.0, notice_s=0.5)
  second = meet(2, 4)  # would wait much longer by itself
  with pytest.raises(NotAllStarted, match="3 s.*waits for processes 1, 3:"):
    first.result()
  with pytest.raises(NotAllStarted, match="waits for processes 1, 3:"):
    second.result()
  notices = capsys.readouterr().err.splitlines()
  assert len(notices) >= 3
  assert "process 0 of 4 waits for processes 1, 3:" in notices[-1]


def test_a_process_that_came_and_ended_is_missing_again(meet, port):
  first = meet(0, 3)
  while not listens(port):
    time.sleep(0.05)
  with socket.create_connection(("localhost", port)) as gone:
    gone.sendall(b"process 1 of 3\n")
    time.sleep(0.5)
  second = meet(2, 3)
  time.sleep(1)
  assert not first.done() and not second.done()
  for process in (meet(1, 3), first, second):
    process.result()


def test_strangers_on_the_port_are_ignored(meet, port):
  first = meet(0, 2)
  while not listens(port):
    time.sleep(0.05)
  silent = socket.create_connection(("localhost", port))
  with socket.create_connection(("localhost", port)) as web:
    web.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert not web.recv(10)
  meet(1, 2).result()
  first.result()
  silent.close()


@pytest.mark.parametrize(
  ("count", "message"),
  [(3, "another process 1 is there"), (8, "was told of 3 processes")],
)
def test_contradictions_are_refused(count, message, meet):
  first, right = meet(0, 3), meet(1, 3)
  time.sleep(1)
  with pytest.raises(UserError, match=message):
    meet(1, count).result()
  for process in (meet(2, 3), first, right):
    process.result()


def test_a_port_in_use_is_a_sentence(meet, port):
  with socket.create_server(("", port)):
    with pytest.raises(UserError, match=f"{port} .*in use"):
      meet(0, 2).result()
