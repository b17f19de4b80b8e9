# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Defines the record that all our data sets share, and a builder to write it.

  class Builder(ViewBuilder):
    def num_views(self):
      return sum(task.num_views for task in tasks)
    def _split_generators(self, dl_manager):
      return {"train": self._generate_examples("train")}
    def _generate_examples(self, split):
      return self.stream(split, make_records, tasks)

A record holds one view of an object: picture, pose, K, object id and number.
The builder is an ordinary TFDS builder with another writer. TFDS's own writer
keeps a whole split in memory and writes it twice. This one writes object after
object, and then an index of the objects, `objects.json`, beside the records.
"""

from collections.abc import Callable, Iterable, Iterator
import io
import json
import pathlib
import sys

import beam_map
import numpy as np
import parallel
from parallel import BadObject, Made
from record_writer import FILE_FORMAT, RecordWriter
import tensorflow_datasets as tfds

from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError

OBJECTS_FILE = "objects.json"
# Cost of any data set: indices of the record files, and starting the program.
FIXED_BYTES, FIXED_SECONDS = 0.36e6, 2.0


class ViewBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Base class of all builders. Their configs must have a `resolution`."""

  def __init__(
    self,
    *,
    num_workers: int = 1,
    skip_bad: bool = False,
    beam_options: str | None = None,
    **kwargs,
  ):
    self.num_workers = num_workers
    self.beam_options = beam_options
    self.skip_bad = skip_bad
    self.skipped: list[BadObject] = []
    self.notes: list[str] = []
    self._ordered_map, self._bar = map, None
    super().__init__(file_format=FILE_FORMAT, **kwargs)

  @property
  def settings(self) -> dict:
    """The settings that decide the content, besides the config."""
    return {}

  def num_views(self) -> int:
    """Returns the number of views of all objects of all splits."""
    raise NotImplementedError

  def left_out(self) -> list[str]:
    """Returns a sentence for each object left out before the build starts."""
    return []

  def _info(self):
    r = self.builder_config.resolution
    image = tfds.features.Image(shape=(r, r, 3), encoding_format="png")
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(
        {
          "image": image,
          "world_from_cam": tfds.features.Tensor(
            shape=(4, 4), dtype=np.float32
          ),
          "K": tfds.features.Tensor(shape=(3, 3), dtype=np.float32),
          "object_id": tfds.features.Text(),
          "view": np.int32,
        }
      ),
      disable_shuffling=True,
      metadata=tfds.core.MetadataDict(self.settings),
    )

  def stream(
    self, split: str, make_records: Callable, items: Iterable
  ) -> Iterator[tuple[int, dict]]:
    """Yields (key, example) of every view of every item, in order.

    Args:
      split: its name, for the progress bar.
      make_records: runs in a worker. Takes an item and returns the records of
        one object: a list, a `Made` if there are notes, or a `BadObject`.
      items: one for each object.
    """
    key = 0
    for made in self._ordered_map(make_records, items):
      if isinstance(made, BadObject):
        self._skip_or_stop(made)
        self._bar.advance(made.num_views, note=split)
        continue
      if isinstance(made, Made):
        self.notes += made.notes
        made = made.records
      self._bar.advance(len(made), note=split)
      for record in made:
        # TFDS stores the bytes of a file as they are; it would encode arrays.
        yield key, {**record, "image": io.BytesIO(record["image"])}
        key += 1

  def _skip_or_stop(self, bad: BadObject) -> None:
    if not self.skip_bad:
      raise UserError(
        f"{bad.reason} To build without such objects, add --skip_bad."
      )
    self.skipped.append(bad)
    print(f"skipped: {bad.reason}", file=sys.stderr, flush=True)

  def _workers(self):
    """Returns a context manager that maps in local processes or on Beam."""
    if self.beam_options is None:
      return parallel.ordered_map(self.num_workers)
    parent = pathlib.Path(self.data_path).parent
    folder = parent / f".beam_{self.version}"
    settings = self.settings | {"version": str(self.version)}
    return beam_map.ordered_map(self.beam_options, folder, settings)

  def _download_and_prepare(self, dl_manager, download_config=None):
    index, infos = {}, []
    with (
      self._workers() as self._ordered_map,
      progress.bar(
        f"{self.name}: render views",
        self.num_views(),
        unit="view",
        skip_first=True,
      ) as self._bar,
    ):
      for split, examples in self._split_generators(dl_manager).items():
        writer = RecordWriter(self.name, self.data_path, split)
        index[split] = []
        for key, example in examples:
          _add_view(index[split], example["object_id"], key)
          writer.write(self.info.features.serialize_example(example))
        infos.append(writer.close())
        if not index[split]:
          raise UserError(f"no object of the {split} split is usable.")
    self.info.set_splits(tfds.core.SplitDict(infos))
    skipped = {bad.object_id: bad.reason for bad in self.skipped}
    self.info.metadata["skipped"] = list(skipped)
    self.info.metadata["left_out"] = self.left_out() + list(skipped.values())
    self.info.metadata["notes"] = list(dict.fromkeys(self.notes))
    # TFDS renames the folder afterwards, so nobody sees half of this file.
    (self.data_path / OBJECTS_FILE).write_text(json.dumps(index))


def cost(num_views: int, bytes_per_view: int, seconds_per_view: float) -> str:
  """Formats size and build time on two cores, such as "370 MB, 9 min".

  Args:
    num_views: of the data set.
    bytes_per_view: on disk.
    seconds_per_view: on one core.
  """
  size = FIXED_BYTES + num_views * bytes_per_view
  seconds = FIXED_SECONDS + num_views * seconds_per_view / 2
  megabytes = float(f"{size / 1e6:.2g}")
  size = f"{megabytes:g} MB" if megabytes < 1000 else f"{megabytes / 1000:g} GB"
  for unit, length in (("h", 3600), ("min", 60)):
    if seconds >= length:
      return f"{size}, {float(f'{seconds / length:.2g}'):g} {unit}"
  return f"{size}, {seconds:.0f} s"


def _add_view(index: list, object_id: str, key: int) -> None:
  """Adds a view to its split's index of rows [object_id, start, count]."""
  if not index or index[-1][0] != object_id:
    index.append([object_id, key, 0])
  index[-1][2] += 1
