# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batches of (conditioning, target) pairs of views of one object, with Grain.

In an epoch every view of every object is the target once, in random order,
and its conditioning view is drawn uniformly from the object's other views (so
an object counts as often as it has views). Pair number n of a seed is a pure
function of n: what step k trains on depends neither on how many processes
share the work nor on where a run was interrupted.

  views = view_source.open_views(None, "shapes", "32", "train")
  batches = train_iterator(views, global_batch_size=128, seed=0,
                           process_index=jax.process_index(),
                           process_count=jax.process_count(), start_step=step)
  batch = next(batches)  # cond_view, target_view, cond_cam, target_cam

Pictures stay uint8 as far as the device, which normalises them.
"""

from collections.abc import Iterator

import grain
import numpy as np

from threedim_jax.inputs.view_source import Views
from threedim_jax.runtime.errors import UserError

# cond_view, target_view: uint8 [b, H, W, 3]; cond_cam, target_cam: dicts of
# float32 world_from_cam [b, 4, 4] and K [b, 3, 3].
Batch = dict[str, np.ndarray | dict[str, np.ndarray]]
CAMERA_KEYS = ("world_from_cam", "K")


def train_iterator(
  views: Views,
  *,
  global_batch_size: int,
  seed: int,
  process_index: int,
  process_count: int,
  start_step: int = 0,
  num_threads: int = 2,
  prefetch: int = 8,
) -> Iterator[Batch]:
  """This process's rows of global batch `start_step` and all that follow.

  Args:
    views: the split to train on.
    global_batch_size: examples of all processes together in a batch.
    seed: fixes the pairs and their order.
    process_index: which rows: process p of P has the p-th of P equal blocks.
    process_count: P; it must divide the global batch.
    start_step: number of the first batch, which is all that resuming takes.
    num_threads: readers; 0 reads in the caller, batch by batch.
    prefetch: batches that the readers keep ready.

  Raises:
    UserError: the batch does not split evenly; from `next`, a damaged view.
  """
  batches = _batches(
    views, global_batch_size, seed, process_index, process_count
  )
  options = grain.ReadOptions(
    num_threads=num_threads,
    prefetch_buffer_size=prefetch if num_threads else 0,
  )
  iterator = iter(batches.to_iter_dataset(options))
  iterator.set_state({"next_index": start_step})
  return iterator


def eval_batches(
  views: Views,
  *,
  batch_size: int,
  num_batches: int,
  seed: int,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[Batch]:
  """The first `num_batches` batches of a seed: the same pairs at every call."""
  batches = _batches(views, batch_size, seed, process_index, process_count)
  return (batches[k] for k in range(num_batches))


def _batches(
  views: Views,
  global_batch_size: int,
  seed: int,
  process_index: int,
  process_count: int,
) -> grain.MapDataset:
  """Element k is this process's rows of global batch k, without end."""
  if global_batch_size % process_count:
    raise UserError(
      f"A global batch of {global_batch_size} examples does not split evenly"
      f" over {process_count} processes: make it a multiple of"
      f" {process_count}."
    )
  size = global_batch_size // process_count
  rows = slice(process_index * size, (process_index + 1) * size)

  def choose_pair(target: int, rng: np.random.Generator) -> tuple[int, int]:
    return draw_cond(views, target, rng), target

  def read(pairs: tuple[np.ndarray, np.ndarray]) -> Batch:
    (cond_view, *cond_cam), (target_view, *target_cam) = (
      views.gather(records[rows]) for records in pairs
    )
    camera = lambda arrays: dict(zip(CAMERA_KEYS, arrays, strict=True))
    return {
      "cond_view": cond_view,
      "target_view": target_view,
      "cond_cam": camera(cond_cam),
      "target_cam": camera(target_cam),
    }

  # Pairs are drawn, and batched, for all processes alike, and only then does
  # each read its own rows: numbers are cheap, and the draw must not depend on
  # who reads.
  return (
    grain.MapDataset.range(len(views))
    .seed(seed)
    .shuffle()
    .repeat(None)
    .random_map(choose_pair)
    .batch(global_batch_size, drop_remainder=True)
    .map(read)
  )


def draw_cond(views: Views, target: int, rng: np.random.Generator) -> int:
  """A uniform draw from the other records of the target record's object."""
  index = views.object_of(target)
  start, count = int(views.starts[index]), int(views.counts[index])
  step = int(rng.integers(1, count))
  return start + (target - start + step) % count
