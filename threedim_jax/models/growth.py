# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Parameters of an X-UNet become those of one for larger pictures.

  params = grow(params, target, create_params)

Where the larger network has as many levels, they work on more pixels each, and
nothing changes but the learned positions, which are repeated. Where it has
more, new ones are put around the old network, which goes on with pictures of
the size that it knows: the parameters of the new levels are random, as at the
start of any training, and let through what they are given.
"""

from collections.abc import Callable, Mapping
import math
import re

from einops import repeat
from flax import traverse_util
from jaxtyping import PyTree
import numpy as np

_POSITIONS = "ConditioningProcessor_0/pos_emb"
_LEVEL_KERNEL = re.compile(r"ConditioningProcessor_0/Conv_\d+/kernel")
_NUMBERED = re.compile(
  r"^(XUNetBlock_|ResnetBlock_|ConditioningProcessor_0/Conv_)(\d+)"
)


def grow(
  params: PyTree, target: PyTree, create_params: Callable[[], PyTree]
) -> PyTree:
  """Parameters for pictures that are a whole factor larger.

  What fits no growth is returned as it is, for the caller's check to name.

  Args:
    params: of the network for smaller pictures, or of the same; host arrays.
    target: arrays or shapes of the network for the larger ones.
    create_params: random ones of `target`, asked for if it has more levels.
  """
  small, large = _flat(params), _flat(target)
  if _POSITIONS in small and _POSITIONS in large:
    factor = large[_POSITIONS].shape[0] // small[_POSITIONS].shape[0]
    small[_POSITIONS] = repeat(
      np.asarray(small[_POSITIONS]),
      "h w d -> (h a) (w b) d",
      a=factor,
      b=factor,
    )
  num_added = _num_levels(large) - _num_levels(small)
  if num_added > 0:
    small = _put_levels_around(small, _flat(create_params()), num_added)
  return traverse_util.unflatten_dict(small, sep="/")


def _flat(tree: PyTree) -> dict:
  return traverse_util.flatten_dict(tree, sep="/")


def _num_levels(flat: Mapping) -> int:
  return sum(bool(_LEVEL_KERNEL.fullmatch(name)) for name in flat)


def _put_levels_around(small: dict, large: dict, num_added: int) -> dict:
  """The old blocks with their new numbers, between those of the new levels."""
  # A level has n blocks on the way down and n + 1 on the way up, and one that
  # resamples in either direction.
  num_new = _num_blocks(large) - _num_blocks(small)
  n = (num_new // num_added - 1) // 2
  shift = {
    "XUNetBlock_": n * num_added,
    "ResnetBlock_": num_added,
    "ConditioningProcessor_0/Conv_": num_added,
  }
  renumber = lambda m: f"{m[1]}{int(m[2]) + shift[m[1]]}"
  old = {_NUMBERED.sub(renumber, name): x for name, x in small.items()}
  # Every block divides by sqrt(2). The old network takes in what it is used to,
  # and what it makes comes out.
  gain = np.float32(math.sqrt(2.0) ** ((n + 1) * num_added))
  for name in ("Conv_0/kernel", "Conv_0/bias"):
    old[name] = np.asarray(old[name]) * gain
  grown = {}
  for name, x in large.items():
    if name.endswith("ResnetBlock_0/Dense_0/kernel"):  # of a skip path
      # The first channels are what comes from the level below.
      x = math.sqrt(2.0) * np.eye(*x.shape, dtype=np.float32)
    grown[name] = old.pop(name, x)
  return grown | old


def _num_blocks(flat: Mapping) -> int:
  return len({n.split("/")[0] for n in flat if n.startswith("XUNetBlock_")})
