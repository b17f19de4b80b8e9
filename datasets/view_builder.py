# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The record that all our data sets share, and the builder that writes it.

  class Builder(ViewBuilder):
    def _split_generators(self, dl_manager):
      return {"train": self._generate_examples(tasks)}
    def _generate_examples(self, tasks):
      return self.stream("train", make_records, tasks, len(tasks))

This is an ordinary TFDS builder with another writer. TFDS's own writer keeps a
whole split in memory and writes it twice. This one writes object after object,
and then an index of the objects, `objects.json`, beside the records.
"""

from collections.abc import Callable, Iterable, Iterator
import contextlib
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


class ViewBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Base class of all builders, whose configs have a `resolution`."""

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
    self._ordered_map = map
    super().__init__(file_format=FILE_FORMAT, **kwargs)

  @property
  def settings(self) -> dict:
    """What the content depends on besides the config; see `metadata.json`."""
    return {}

  def left_out(self) -> list[str]:
    """Sentences that say which objects no attempt was made to build."""
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
    self, split: str, make_records: Callable, items: Iterable, total: int
  ) -> Iterator[tuple[int, dict]]:
    """Yields (key, example) of every view of every item, in order.

    Args:
      split: its name, for the progress bar.
      make_records: runs in a worker. Takes an item and returns the records of
        one object: a list, a `Made` if there are notes, or a `BadObject`.
      items: one for each object.
      total: number of items.
    """
    key = 0
    with progress.bar(f"{self.name}: {split} objects", total) as bar:
      for made in self._ordered_map(make_records, items):
        bar.advance()
        if isinstance(made, BadObject):
          self._skip_or_stop(made)
          continue
        if isinstance(made, Made):
          self.notes += made.notes
          made = made.records
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
    """A context whose value maps in processes of this machine, or on Beam."""
    if self.beam_options is None:
      return parallel.ordered_map(self.num_workers)
    parent = pathlib.Path(self.data_path).parent
    folder = parent / f".beam_{self.version}"
    settings = self.settings | {"version": str(self.version)}
    return beam_map.ordered_map(self.beam_options, folder, settings)

  def _download_and_prepare(self, dl_manager, download_config=None):
    index, infos = {}, []
    with self._workers() as self._ordered_map:
      for split, examples in self._split_generators(dl_manager).items():
        writer = RecordWriter(self.name, self.data_path, split)
        index[split] = []
        # Closed after an error too, or the progress bar would go on printing.
        with contextlib.closing(examples):
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


def _add_view(index: list, object_id: str, key: int) -> None:
  """Counts a view in the index of its split: rows [object_id, start, count]."""
  if not index or index[-1][0] != object_id:
    index.append([object_id, key, 0])
  index[-1][2] += 1
