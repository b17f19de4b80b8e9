# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds `shapes`: procedural chairs and cars.

python datasets/build.py shapes --config 64
"""

import dataclasses

from shapes import objects
from shapes.counts import Counts
import tensorflow_datasets as tfds
from view_builder import ViewBuilder, cost


@dataclasses.dataclass
class ShapesConfig(tfds.core.BuilderConfig):
  resolution: int = 32
  counts: Counts | None = None
  kinds: tuple[str, ...] = ("chair", "car")  # of objects 0, 1, and so on
  distance: float = 1.0
  off_axis: float = 0.0


# {resolution: (bytes, seconds of one core) for a view}, see README.md.
COST_PER_VIEW = {
  16: (590, 0.0016),
  32: (1016, 0.0032),
  64: (1770, 0.0049),
  128: (3409, 0.0163),
}


def _config(
  name: str, resolution: int, description: str, *counts: int, **more
) -> ShapesConfig:
  c = Counts(*counts)
  num_test_objects = c.num_validation_objects + c.num_test_objects
  num_views = c.num_train_objects * c.num_train_views
  num_views += num_test_objects * c.num_test_views
  size_and_time = cost(num_views, *COST_PER_VIEW[resolution])
  return ShapesConfig(
    name=name,
    description=f"{size_and_time}: {description}, {resolution} pixels",
    resolution=resolution,
    counts=c,
    **more,
  )


def _limits(name: str, what: str, kind: str = "chair", **cameras):
  """Makes a small config whose test views differ from the training views."""
  counts = (2, 2, 1, 16)
  return _config(name, 32, what, *counts, kinds=(kind,), **cameras)


class Builder(ViewBuilder):
  """Chairs and cars on white, with cameras distributed as in SRN."""

  name = "shapes"
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    # Name, pixels, description, and the counts in the order of `Counts`.
    _config("16", 16, "chairs and cars", 3000, 24, 8, 32),
    _config("32", 32, "chairs and cars", 3000, 24, 8, 32),
    _config("64", 64, "chairs and cars", 4000, 50, 8, 32),
    _config("128", 128, "chairs and cars", 4000, 50, 8, 32),
    _config(
      *("quickstart", 64, "chairs", 500, 16, 4, 16, 24),
      kinds=("chair",),
    ),
    _limits("limits_none", "to evaluate on chairs as in training"),
    _limits("limits_near", "to evaluate on chairs from nearby", distance=0.8),
    _limits("limits_far", "to evaluate on chairs from far away", distance=1.5),
    _limits(
      "limits_off_axis", "to evaluate on chairs off the middle", off_axis=0.3
    ),
    _limits("limits_table", "to evaluate on tables", kind="table"),
    _config("debug", 16, "for tests", 8, 4, 2, 2, 6),
  ]

  def __init__(self, *, overrides: dict | None = None, **kwargs):
    self._overrides = overrides or {}
    super().__init__(**kwargs)

  @property
  def counts(self) -> Counts:
    return dataclasses.replace(self.builder_config.counts, **self._overrides)

  @property
  def settings(self) -> dict:
    overridden = sorted(self._overrides)
    return {**dataclasses.asdict(self.counts), "overridden": overridden}

  def num_views(self) -> int:
    return sum(t.num_views for s in objects.SPLITS for t in self._tasks(s))

  def _split_generators(self, dl_manager):
    return {s: self._generate_examples(s) for s in objects.SPLITS}

  def _generate_examples(self, split: str):
    return self.stream(split, objects.render_object, self._tasks(split))

  def _tasks(self, split: str) -> list[objects.Task]:
    counts, config = self.counts, self.builder_config
    views = "num_train_views" if split == "train" else "num_test_views"
    return [
      objects.Task(
        kind=config.kinds[i % len(config.kinds)],
        split=split,
        index=i,
        num_views=getattr(counts, views),
        resolution=config.resolution,
        seed=counts.seed,
        distance=config.distance,
        off_axis=config.off_axis,
      )
      for i in range(getattr(counts, f"num_{split}_objects"))
    ]
