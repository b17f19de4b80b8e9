# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs a function on many objects in worker processes, in order.

  with parallel.ordered_map(num_workers=2) as ordered_map:
    for made in ordered_map(make_records, tasks):
      ...

Workers are spawned and not forked, because the parent process has threads. A
worker imports the module of the function, so that module must not import jax or
TFDS, which are slow to import.
"""

import collections
from collections.abc import Callable, Iterable, Iterator
import concurrent.futures
from concurrent.futures.process import BrokenProcessPool
import contextlib
import dataclasses
import functools
import multiprocessing
import os
import signal
import threading

from threedim_jax.runtime.errors import UserError

_PENDING_PER_WORKER = 4  # bounds memory, and keeps the workers busy


@dataclasses.dataclass(frozen=True)
class Made:
  """The records of an object, and notes on problems of its files."""

  records: list[dict]
  notes: list[str]


@dataclasses.dataclass(frozen=True)
class BadObject:
  """Takes the place of the records if the files of an object are faulty."""

  object_id: str
  reason: str
  num_views: int  # number of views that the object would have had


@contextlib.contextmanager
def ordered_map(num_workers: int):
  """Yields a function like `map` that runs in worker processes.

  The function works until the context ends. With at most one worker it runs in
  this process.

  Raises:
    UserError: the system killed a worker.
  """
  if num_workers <= 1:
    yield map
    return
  pool = concurrent.futures.ProcessPoolExecutor(
    num_workers,
    mp_context=multiprocessing.get_context("spawn"),
    initializer=_start_worker,
  )
  try:
    yield functools.partial(_map_in_pool, pool, num_workers)
  except BrokenProcessPool as e:
    raise UserError(
      "a worker process was killed, most likely for lack of memory: run"
      f" again with --num_workers below {num_workers}."
    ) from e
  finally:
    pool.shutdown(wait=True, cancel_futures=True)


def _map_in_pool(
  pool: concurrent.futures.Executor,
  num_workers: int,
  fn: Callable,
  items: Iterable,
) -> Iterator:
  pending = collections.deque()
  for item in items:
    pending.append(pool.submit(fn, item))
    if len(pending) >= _PENDING_PER_WORKER * num_workers:
      yield pending.popleft().result()
  while pending:
    yield pending.popleft().result()


def _start_worker() -> None:
  """Makes a worker ignore Ctrl-C and exit as soon as its parent has died."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)

  def exit_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)

  threading.Thread(target=exit_with_parent, daemon=True).start()
