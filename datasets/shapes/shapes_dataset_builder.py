# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""TFDS builder of `shapes`: procedural chairs and cars.

python datasets/build.py shapes --config 64
"""

import dataclasses

from shapes import objects
from shapes.counts import Counts
import tensorflow_datasets as tfds
from view_builder import ViewBuilder, bytes_per_view


@dataclasses.dataclass
class ShapesConfig(tfds.core.BuilderConfig):
  resolution: int = 32
  counts: Counts | None = None
  kinds: tuple[str, ...] = ("chair", "car")  # of objects 0, 1, and so on
  distance: float = 1.0
  off_axis: float = 0.0


def limits(
  name: str, what: str, kind: str = "chair", **cameras
) -> ShapesConfig:
  """Held-out objects that differ from those of training, for evaluation."""
  counts = Counts(2, 2, 1, 16)
  return ShapesConfig(
    name=name,
    resolution=32,
    description=f"5 MB, about 17 s: to evaluate on {what}",
    counts=counts,
    kinds=(kind,),
    **cameras,
  )


class Builder(ViewBuilder):
  """Chairs and cars on white, with cameras distributed as in SRN."""

  name = "shapes"
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    ShapesConfig(
      name="16",
      resolution=16,
      description="50 MB, about 45 s",
      counts=Counts(3000, 24, 8, 32),
    ),
    ShapesConfig(
      name="32",
      resolution=32,
      description="80 MB, about 2 min",
      counts=Counts(3000, 24, 8, 32),
    ),
    ShapesConfig(
      name="64",
      resolution=64,
      description="400 MB, about 6 min",
      counts=Counts(4000, 50, 8, 32),
    ),
    ShapesConfig(
      name="128",
      resolution=128,
      description="750 MB, about 25 min",
      counts=Counts(4000, 50, 8, 32),
    ),
    ShapesConfig(
      name="quickstart",
      description="9 MB, about 16 s: chairs only",
      resolution=32,
      counts=Counts(500, 16, 4, 16, num_test_views=24),
      kinds=("chair",),
    ),
    limits("limits_none", "chairs as in training"),
    limits("limits_near", "chairs from nearby", distance=0.8),
    limits("limits_far", "chairs from far away", distance=1.5),
    limits("limits_off_axis", "chairs off the middle", off_axis=0.3),
    limits("limits_table", "tables", kind="table"),
    ShapesConfig(
      name="debug",
      description="0.4 MB, 3 s",
      resolution=16,
      counts=Counts(8, 4, 2, 2, num_test_views=6),
    ),
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

  def expected_bytes(self) -> int:
    views = sum(t.num_views for s in objects.SPLITS for t in self._tasks(s))
    return views * bytes_per_view(self.builder_config.resolution)

  def _split_generators(self, dl_manager):
    return {s: self._generate_examples(s) for s in objects.SPLITS}

  def _generate_examples(self, split: str):
    tasks = self._tasks(split)
    return self.stream(split, objects.render_object, tasks, len(tasks))

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
