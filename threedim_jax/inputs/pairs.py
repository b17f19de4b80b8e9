# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes training batches of (conditioning, target) pairs of views, with Grain.

In an epoch, every view of every object is the target once, in random order. The
conditioning view is drawn uniformly from the object's other views. If
`fixed_pairs` is set, the conditioning view is the target's partner instead:
views 0 and 1 of an object are partners, views 2 and 3 are partners, and so on.

Pair number n depends only on the seed and n. So every training step gets the
same pairs, whatever the number of processes, and wherever a run was
interrupted.

  views = view_source.open_views(None, "shapes", "32", "train")
  batches = train_iterator(views, global_batch_size=128, seed=0)
  batch = next(batches)  # a PairBatch of NumPy arrays

Pictures in a batch are uint8. They are scaled to floats on the device.
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
  """Yields batches of training pairs, from batch number `start_step` on.

  Each process gets only its own rows of every global batch.

  Args:
    views: the split to train on.
    global_batch_size: number of examples in a batch, of all processes together.
    seed: seed that determines the pairs and their order.
    process: (p, P) stands for process p of P processes, which gets block p of P
      equal blocks of rows. None takes p and P from JAX.
    start_step: number of the first batch, counted from 0. To resume a run,
      change only this argument.
    fixed_pairs: True pairs views 2k and 2k + 1 of every object, as in 3DiM's
      model of all of ShapeNet.
    num_threads: number of threads that read ahead. With 0, the caller's thread
      reads each batch when the batch is asked for.

  Raises:
    UserError: the batch does not split evenly over the processes, or
      `fixed_pairs` is set and an object has an odd number of views. Later,
      `next` raises a UserError when it meets a damaged view.
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
  """Yields `num_batches` batches, which are the same at every call.

  The batches depend only on the views, the batch size and the seed. Each
  process gets only its own rows of a batch, as in `train_iterator`.
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

  A batch has only the rows of this process. The arguments and errors are those
  of `train_iterator`.
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
  """Draws the conditioning view of a target: another view of the same object.

  Args:
    views: the views to draw from.
    target: record number of the target view.
    rng: generator of the draw.

  Returns:
    Record number of the conditioning view.
  """
  index = views.object_of(target)
  start, count = int(views.starts[index]), int(views.counts[index])
  step = int(rng.integers(1, count))
  return start + (target - start + step) % count


def partner(views: Views, target: int, rng: np.random.Generator) -> int:
  """Returns the record number of the view that is always paired with a target.

  Args:
    views: the views that hold the target.
    target: record number of the target view.
    rng: not used; `draw_cond` has the same arguments.
  """
  del rng  # nothing is drawn
  start = int(views.starts[views.object_of(target)])
  return start + ((target - start) ^ 1)
