# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Defines how many objects and views a configuration of `shapes` has.

counts = Counts(2000, 24, 8, 32)
"""

import dataclasses

from threedim_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True)
class Counts:
  """Numbers of objects and views. build.py has a flag for each field."""

  num_train_objects: int
  num_train_views: int  # of each object
  num_validation_objects: int
  num_test_objects: int
  num_test_views: int = 251  # of validation objects as well
  seed: int = 0

  def __post_init__(self):
    for name, value in vars(self).items():
      least = 0 if name == "seed" else 2 if name.endswith("_views") else 1
      if value < least:
        raise UserError(f"{name} is {value}, it must be at least {least}.")
