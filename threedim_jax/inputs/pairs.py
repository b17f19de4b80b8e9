# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes training batches of (conditioning, target) pairs of views, with Grain.

In each epoch, every view of every object is the target once, in random order.
The conditioning view is drawn uniformly from the object's other views. If
`fixed_pairs` is set, each view has one fixed partner instead: views 0 and 1 of
an object are partners, views 2 and 3 are partners, and so on.

For a given data set, pair number n depends only on the seed and n. So a
training step gets the same pairs regardless of the number of processes, and
also after a run was interrupted and resumed.

  views = open_views(data_dir=None, name="shapes", config="32", split="train")
  batches = train_iterator(views, global_batch_size=128, seed=0)
  batch = next(batches)  # a PairBatch of NumPy arrays

Pictures in a batch are uint8. The training step converts them to floats.
"""

from collections.abc import Iterator

import grain
import jax
import numpy as np

from threedim_jax.inputs.view_source import Views
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.cameras import Camera
from threedim_jax.views.pair_batch import PairBatch

PREFETCH = 8  # batches that the readers keep ready


def train_iterator(
  views: Views,
  *,
  global_batch_size: int,
  seed: int,
  process: tuple[int, int] | None = None,
  start_step: int = 0,
  fixed_pairs: bool = False,
  num_threads: int = 2,
) -> Iterator[PairBatch]:
  """Yields batches of training pairs, starting with batch number `start_step`.

  Args:
    views: the split to train on.
    global_batch_size: number of pairs in a global batch: what all processes
      together get for one training step.
    seed: seed that determines the pairs and their order.
    process: (number p of this process, number P of processes). A global batch
      is split into P equal blocks of consecutive pairs, and process p gets only
      block p. None takes p and P from JAX.
    start_step: number of the first batch, counted from 0. To resume a run,
      change only this argument.
    fixed_pairs: whether to pair only views 2k and 2k + 1 of an object, as for
      the 3DiM model that was trained on the whole of ShapeNet.
    num_threads: number of threads that read ahead. With 0, each batch is read
      in the caller's thread during `next`.

  Raises:
    UserError: a global batch does not split evenly over the processes, or
      `fixed_pairs` is set and an object has an odd number of views. Later,
      `next` raises a UserError if a view is damaged.
  """
  batches = _batches(views, global_batch_size, seed, process, fixed_pairs)
  options = grain.ReadOptions(
    num_threads=num_threads,
    prefetch_buffer_size=PREFETCH if num_threads else 0,
  )
  iterator = iter(batches.to_iter_dataset(options))
  iterator.set_state({"next_index": start_step})
  return iterator


def eval_batches(
  views: Views, *, batch_size: int, num_batches: int, seed: int
) -> Iterator[PairBatch]:
  """Yields `num_batches` batches of pairs; every call yields the same ones.

  The pairs depend only on the views, the batch size and the seed. `batch_size`
  pairs form a global batch, and each process gets only its own block of them,
  as in `train_iterator`.
  """
  batches = _batches(views, batch_size, seed)
  return (batches[k] for k in range(num_batches))


def _batches(
  views: Views,
  global_batch_size: int,
  seed: int,
  process: tuple[int, int] | None = None,
  fixed_pairs: bool = False,
) -> grain.MapDataset:
  """Makes an endless Grain data set whose element k is batch number k.

  Each batch holds only the pairs of this process. The arguments and errors are
  those of `train_iterator`.
  """
  index, count = process or (jax.process_index(), jax.process_count())
  size, rest = divmod(global_batch_size, count)
  if rest:
    raise UserError(
      f"A global batch of {global_batch_size} examples does not split evenly"
      f" over {count} processes: make it a multiple of {count}."
    )
  rows = slice(index * size, (index + 1) * size)
  if fixed_pairs and np.any(views.counts % 2):
    raise UserError(
      "data.fixed_pairs=True needs an even number of views of every training"
      f" object, but some of the {len(views.counts)} have an odd number."
    )

  def choose_pair(target: int, rng: np.random.Generator) -> tuple[int, int]:
    draw = partner if fixed_pairs else draw_cond
    return draw(views, target, rng), target

  def read(pairs: tuple[np.ndarray, np.ndarray]) -> PairBatch:
    (cond_view, *cond_cam), (target_view, *target_cam) = (
      views.gather(records[rows]) for records in pairs
    )
    return PairBatch(
      cond_view, target_view, Camera(*cond_cam), Camera(*target_cam)
    )

  # Every process draws all pairs of the global batch, then reads only its own
  # rows. So the pairs do not depend on the number of processes.
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
  """Draws a conditioning view: another view of the target view's object.

  Args:
    target: record number of the target view.

  Returns:
    Record number of the conditioning view.
  """
  index = views.object_of(target)
  start, count = int(views.starts[index]), int(views.counts[index])
  step = int(rng.integers(1, count))
  return start + (target - start + step) % count


def partner(views: Views, target: int, rng: np.random.Generator) -> int:
  """Returns the record number of the other view in a target's fixed pair.

  Fixed pairs consist of views 2k and 2k + 1 of an object.

  Args:
    target: record number of the target view.
    rng: not used; it makes the function interchangeable with `draw_cond`.
  """
  del rng  # nothing is drawn
  start = int(views.starts[views.object_of(target)])
  return start + ((target - start) ^ 1)
