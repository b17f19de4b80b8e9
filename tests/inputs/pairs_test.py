# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pairs of views: which are drawn, in what order, and that they are right.

The pictures of `tiny_dataset` say which object and view they show, so every
batch can be read back into the pairs it was made of.
"""

import itertools

import jax
import numpy as np
import pytest
import tiny_dataset

from threedim_jax.inputs import pairs as input_pipeline
from threedim_jax.inputs import view_source
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.pair_batch import batch_shapes

RESOLUTION = 8
COUNTS = (4, 2, 5) * 10  # views of each object
NUM_RECORDS = sum(COUNTS)


@pytest.fixture(scope="module")
def views(tmp_path_factory):
  folder = tmp_path_factory.mktemp("data")
  tiny_dataset.write_tiny_dataset(folder, len(COUNTS), COUNTS, RESOLUTION)
  return view_source.open_views(
    folder, tiny_dataset.NAME, str(RESOLUTION), "train"
  )


def batches(views, num, *, start_step=0, process=(0, 1), **changes):
  options = {"global_batch_size": 8, "seed": 0} | changes
  iterator = input_pipeline.train_iterator(
    views,
    process=process,
    start_step=start_step,
    **options,
  )
  return list(itertools.islice(iterator, num))


def shown(pictures):
  """[b, 2]: the (object, view) that each picture says it is of."""
  return pictures[:, 0, 0, :2].astype(int) - (0, 100)


def pairs(stream):
  """[n, 2, 2]: example, (cond, target), (object, view)."""
  return np.concatenate(
    [np.stack([shown(b.cond_view), shown(b.target_view)], 1) for b in stream]
  )


def assert_same(ours, theirs):
  assert len(ours) == len(theirs)
  for a, b in zip(ours, theirs, strict=True):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_pair_is_two_distinct_views_of_one_object(views):
  cond, target = np.moveaxis(pairs(batches(views, 50)), 1, 0)
  np.testing.assert_array_equal(cond[:, 0], target[:, 0])
  assert (cond[:, 1] != target[:, 1]).all()


def test_an_epoch_has_every_view_once_as_the_target(views):
  drawn = pairs(batches(views, 3, global_batch_size=NUM_RECORDS))
  everything = [(o, v) for o, n in enumerate(COUNTS) for v in range(n)]
  epochs = [[*map(tuple, epoch)] for epoch in np.split(drawn[:, 1], 3)]
  for epoch in epochs:
    assert sorted(epoch) == everything
  assert epochs[0] != epochs[1] != epochs[2]
  assert epochs[0] != everything


def test_conditioning_is_uniform_over_the_other_views(views):
  num_epochs = 40
  drawn = pairs(
    batches(views, num_epochs, global_batch_size=NUM_RECORDS, num_threads=0)
  )
  chi_squared, freedom = 0.0, 0
  for obj, count in enumerate(COUNTS):
    of_object = drawn[drawn[:, 0, 0] == obj][:, :, 1]  # [n, (cond, target)]
    seen = np.zeros((count, count))
    np.add.at(seen, (of_object[:, 0], of_object[:, 1]), 1)
    assert not seen.diagonal().any()
    expected = num_epochs / (count - 1)
    off = ~np.eye(count, dtype=bool)
    chi_squared += ((seen[off] - expected) ** 2 / expected).sum()
    freedom += count * (count - 2)
  # Its mean is `freedom`, its variance twice that; less is a fixed cycle.
  assert abs(chi_squared - freedom) < 4 * np.sqrt(2 * freedom)


def test_fixed_pairs_are_those_that_were_rendered_together(tmp_path, views):
  """Each view is still the target once an epoch, with its only partner."""
  counts = (4, 2, 6)
  tiny_dataset.write_tiny_dataset(tmp_path, 3, counts, RESOLUTION)
  even = view_source.open_views(
    tmp_path, tiny_dataset.NAME, str(RESOLUTION), "train"
  )
  options = {"global_batch_size": sum(counts), "fixed_pairs": True}
  stream = batches(even, 2, **options)
  for batch in stream:
    cond, target = np.moveaxis(pairs([batch]), 1, 0)
    np.testing.assert_array_equal(cond, target ^ [0, 1])
    assert len(np.unique(target, axis=0)) == sum(counts)
  assert_same(batches(even, 1, start_step=1, **options), stream[1:])
  with pytest.raises(UserError, match="fixed_pairs=True needs an even"):
    batches(views, 1, fixed_pairs=True)


def test_pictures_and_cameras_belong_together(views):
  for batch in batches(views, 4):
    for pictures, camera in (
      (batch.cond_view, batch.cond_cam),
      (batch.target_view, batch.target_cam),
    ):
      for row, (obj, view) in enumerate(shown(pictures)):
        np.testing.assert_array_equal(
          pictures[row],
          tiny_dataset.picture("train", obj, view, RESOLUTION),
        )
        pose, K = tiny_dataset.camera(obj, view, COUNTS[obj], RESOLUTION)
        np.testing.assert_array_equal(camera.world_from_cam[row], pose)
        np.testing.assert_array_equal(camera.K[row], K)


def test_types_and_shapes(views):
  (batch,) = batches(views, 1, process=(1, 2))
  describe = lambda x: (x.dtype.name, x.shape)
  assert jax.tree.map(describe, batch) == jax.tree.map(
    describe, batch_shapes(RESOLUTION, 4)
  )


@pytest.mark.parametrize("process_count", [2, 4])
def test_processes_share_the_batches_of_one_process(views, process_count):
  alone = batches(views, 5)
  parts = [
    batches(views, 5, process=(p, process_count)) for p in range(process_count)
  ]
  together = [
    jax.tree.map(lambda *x: np.concatenate(x), *rows)
    for rows in zip(*parts, strict=True)
  ]
  assert_same(together, alone)


def test_resumes_at_any_step(views):
  uninterrupted = batches(views, 9)
  for step in range(9):
    resumed = batches(views, 9 - step, start_step=step)
    assert_same(resumed, uninterrupted[step:])


def test_seed_alone_decides(views):
  reference = batches(views, 4)
  assert_same(batches(views, 4), reference)
  assert_same(batches(views, 4, num_threads=0), reference)
  assert_same(batches(views, 4, num_threads=3), reference)
  other = batches(views, 4, seed=1)
  assert (pairs(other) != pairs(reference)).any()


def test_uneven_split_over_processes_is_refused(views):
  with pytest.raises(UserError, match="multiple of 3"):
    batches(views, 1, process=(0, 3))


@pytest.mark.parametrize("num_threads", [0, 2])
def test_damaged_view_stops_training_by_name(tmp_path, num_threads):
  tiny_dataset.write_tiny_dataset(
    tmp_path, 2, 3, RESOLUTION, damaged=[("train", 1, 2)]
  )
  damaged = view_source.open_views(
    tmp_path, tiny_dataset.NAME, str(RESOLUTION), "train"
  )
  with pytest.raises(UserError, match="View 2 of object 'train_001'"):
    batches(damaged, 6, global_batch_size=1, num_threads=num_threads)


def test_eval_batches_are_the_same_at_every_call(views):
  def evaluate(**changes):
    options = {"batch_size": 4, "num_batches": 5, "seed": 3} | changes
    return list(input_pipeline.eval_batches(views, **options))

  reference = evaluate()
  assert len(reference) == 5
  assert_same(evaluate(), reference)
  assert_same(evaluate(num_batches=2), reference[:2])
  assert_same(batches(views, 5, global_batch_size=4, seed=3), reference)
  assert (pairs(evaluate(seed=4)) != pairs(reference)).any()
