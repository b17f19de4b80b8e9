# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks that saved arrays fit a model by their names, dtypes and shapes.

saved = {"ema_params": array_specs(ema_params)}   # can be written as JSON
check_same_arrays(name, saved, {"ema_params": params_of_the_model}, fix)
"""

from collections.abc import Mapping

import jax
from jaxtyping import PyTree
import numpy as np

from threedim_jax.runtime.errors import UserError

_NUM_LISTED = 5


def array_specs(tree: PyTree) -> dict[str, str]:
  """Returns the name, dtype and shape of every array in a tree.

  The result is a dictionary such as {"conv/kernel": "float32[3, 3, 64, 32]"}.
  """
  leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): (
      f"{np.dtype(leaf.dtype).name}{list(leaf.shape)}"
    )
    for path, leaf in leaves
  }


def check_same_arrays(
  name: str,
  saved: Mapping[str, Mapping[str, str]],
  items: Mapping[str, PyTree],
  fix: str,
) -> None:
  """Checks that saved arrays match a model in names, dtypes and shapes.

  Without this check, Orbax would print pages of nested dictionaries for a wrong
  shape, and would silently cast arrays of another dtype.

  Args:
    name: what the error message calls the saved arrays.
    saved: {name of a tree: what `array_specs` returned for the saved tree}.
    items: {name of a tree: the model's arrays, or their shapes and dtypes}.
    fix: last sentence of the error message, which says what to do.

  Raises:
    UserError: an array is missing on one side, or has another shape or dtype.
  """
  rows = []
  for item, tree in items.items():
    old, new = saved[item], array_specs(tree)
    rows += [
      f"{item}/{array} (saved: {old.get(array, 'absent')}, "
      f"model: {new.get(array, 'absent')})"
      for array in sorted(old.keys() | new.keys())
      if old.get(array) != new.get(array)
    ]
  if rows:
    more = len(rows) - _NUM_LISTED
    raise UserError(
      f"{name} is of another architecture than the configured model."
      f" Different: {'; '.join(rows[:_NUM_LISTED])}"
      f"{f'; and {more} more' if more > 0 else ''}. {fix}"
    )
