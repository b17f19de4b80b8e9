# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a worker process returns for one object.

Workers import this file: it must not import TFDS or jax, which are slow.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Made:
  """The records of an object, and sentences about what they lack."""

  records: list[dict]
  notes: list[str]


@dataclasses.dataclass(frozen=True)
class BadObject:
  """What stands in place of the records of a faulty object."""

  object_id: str
  reason: str
