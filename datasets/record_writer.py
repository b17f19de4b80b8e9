# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes the records of one split into array_record files of bounded size.

writer = RecordWriter("shapes", folder, "train")
writer.write(features.serialize_example(example))
split_info = writer.close()
"""

from array_record.python import array_record_module
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

FILE_FORMAT = "array_record"
_VIEWS_PER_SHARD = 50_000
# One record in each group, because views are read one by one, at random.
_OPTIONS = "group_size:1"


class RecordWriter:
  """Writes records one by one. Only one file is open; no record is kept."""

  def __init__(self, name: str, folder, split: str):
    self._template = tfds.core.ShardedFileTemplate(
      dataset_name=name,
      data_dir=folder,
      split=split,
      filetype_suffix=FILE_FORMAT,
      # The number of shards is not known before all are written.
      template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}",
    )
    self._file = None
    self._shard_lengths: list[int] = []
    self._num_bytes = 0

  def write(self, serialized_example: bytes) -> None:
    if not self._file or self._shard_lengths[-1] == _VIEWS_PER_SHARD:
      self._next_file()
    # A protobuf map has no fixed order. Without this, the bytes of equal
    # records would differ from run to run.
    example = tf_example_pb2.Example.FromString(serialized_example)
    record = example.SerializeToString(deterministic=True)
    self._file.write(record)
    self._shard_lengths[-1] += 1
    self._num_bytes += len(record)

  def close(self) -> tfds.core.SplitInfo:
    if self._file:
      self._file.close()
    return tfds.core.SplitInfo(
      name=self._template.split,
      shard_lengths=self._shard_lengths,
      num_bytes=self._num_bytes,
      filename_template=self._template,
    )

  def _next_file(self) -> None:
    if self._file:
      self._file.close()
    path = self._template.sharded_filepath(
      shard_index=len(self._shard_lengths), num_shards=None
    )
    self._file = array_record_module.ArrayRecordWriter(str(path), _OPTIONS)
    self._shard_lengths.append(0)
