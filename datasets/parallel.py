# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Maps a function over items in worker processes, results in order.

  with parallel.ordered_map(num_workers=2) as ordered_map:
    for records in ordered_map(render_object, tasks):
      ...

Workers are spawned, not forked: the parent has threads. They import the module
of the function and nothing else, so keep jax and TFDS out of that module.
"""

import collections
from collections.abc import Callable, Iterable, Iterator
import concurrent.futures
from concurrent.futures.process import BrokenProcessPool
import contextlib
import functools
import multiprocessing
import os
import signal
import threading

from threedim_jax.runtime.errors import UserError

_ITEMS_PER_WORKER = 4  # under way at a time: bounds memory, hides latency


@contextlib.contextmanager
def ordered_map(num_workers: int):
  """A function like `map` that shares out its work while the context is open.

  One worker or none means: work in this process.
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
    if len(pending) >= _ITEMS_PER_WORKER * num_workers:
      yield pending.popleft().result()
  while pending:
    yield pending.popleft().result()


def _start_worker() -> None:
  """Leaves Ctrl-C to the parent, and ends with it even if it is killed."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)

  def watch():
    multiprocessing.parent_process().join()
    os._exit(1)

  threading.Thread(target=watch, daemon=True).start()
