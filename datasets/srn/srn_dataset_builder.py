# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds the ShapeNet cars and chairs of Scene Representation Networks (SRN).

python datasets/build.py srn --config cars --manual_dir DIR_OF_SRN_CARS_ZIP
"""

from collections.abc import Iterable
import dataclasses
import functools
import pathlib
import sys

from parallel import BadObject
from srn.archive import Entry, RawObject, open_archive
from srn.objects import read_object
from srn.resplit import SEED, ids_sha256, resplit
import tensorflow_datasets as tfds
from view_builder import ViewBuilder, cost

from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError

# Sizes of the complete archives.
NUM_OBJECTS = {
  "cars": {"train": 2458, "validation": 352, "test": 704},
  "chairs": {"train": 4612, "validation": 662, "test": 1317},
}
NUM_VIEWS = {"train": 50, "validation": 251, "test": 251}
# {resolution: (bytes, seconds of one core) for a view}, see README.md.
COST_PER_VIEW = {
  128: (3015, 0.00065),
  64: (1967, 0.00124),
  32: (1049, 0.00129),
  16: (656, 0.00099),
}


@dataclasses.dataclass
class SrnConfig(tfds.core.BuilderConfig):
  kind: str = "cars"
  resolution: int = 128
  resplit: bool = False  # merge the splits and split the objects anew


def _config(kind: str, resolution: int, resplit: bool = False) -> SrnConfig:
  name = f"{kind}_resplit" if resplit else kind
  size_and_time = cost(1000 * NUM_VIEWS["train"], *COST_PER_VIEW[resolution])
  what = f"{size_and_time}: {kind}, {resolution} pixels"
  if resplit:
    what += ", split anew (chairs* of the paper)"
  return SrnConfig(
    name=name if resolution == 128 else f"{name}_{resolution}",
    description=what,
    kind=kind,
    resolution=resolution,
    resplit=resplit,
  )


class Builder(ViewBuilder):
  """SRN ShapeNet at the resolution of the archives, or smaller."""

  name = "srn"
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    _config(kind, resolution, resplit)
    for kind, resplit in (("cars", False), ("chairs", False), ("chairs", True))
    for resolution in (128, 64, 32, 16)
  ]

  def __init__(self, *, manual_dir, **kwargs):
    self._manual_dir = pathlib.Path(manual_dir)
    super().__init__(**kwargs)

  @functools.cached_property
  def _archive(self):
    with progress.waiting(f"{self.name}: list {self._manual_dir}"):
      return open_archive(self.builder_config.kind, self._manual_dir)

  def num_views(self) -> int:
    return sum(
      count_pictures(entry)
      for entries in self._archive.objects.values()
      for entry in entries
    )

  def _split_generators(self, dl_manager):
    for split, full in NUM_OBJECTS[self.builder_config.kind].items():
      _warn_of_subset(split, full, self._archive.objects.get(split, ()))
    objects = self._archive.objects
    if self.builder_config.resplit:
      objects = resplit(objects)
      self.info.metadata["resplit_seed"] = SEED
      self.info.metadata["resplit_ids_sha256"] = {
        split: ids_sha256(entries) for split, entries in objects.items()
      }
    return {
      split: self._generate_examples(split, entries)
      for split, entries in objects.items()
    }

  def _generate_examples(self, split: str, entries: list[Entry]):
    # This process reads the archive. Workers decode and check the files.
    raw_objects = map(self._archive.read, entries)
    resolution = self.builder_config.resolution
    make = functools.partial(make_records, resolution=resolution)
    return self.stream(split, make, raw_objects)


def make_records(raw: RawObject, resolution: int) -> list[dict] | BadObject:
  try:
    return read_object(raw, resolution)
  except UserError as e:
    return BadObject(raw.object_id, str(e), count_pictures(raw))


def count_pictures(entry: Entry | RawObject) -> int:
  return sum(file.startswith("rgb/") for file in entry.files)


def _warn_of_subset(split: str, full: int, entries: Iterable[Entry]) -> None:
  views = {count_pictures(entry) for entry in entries}
  if len(entries) != full or views != {NUM_VIEWS[split]}:
    print(
      f"warning: {split} has {len(entries)} objects with"
      f" {' or '.join(map(str, sorted(views))) or 'no'} views; the complete"
      f" archive has {full} with {NUM_VIEWS[split]}.",
      file=sys.stderr,
    )
