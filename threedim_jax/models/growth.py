# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adapts the parameters of an X-UNet to a larger network or larger pictures.

  large_params = grow(small_params, large_shapes, create_large_params)

Below, the small network is the trained one, and the large network is the one
for larger pictures. The large network repeats each entry of the small network's
learned position embedding over several pixels. If both networks have the same
number of levels, nothing else changes. If the large network has more levels,
its outermost levels are new, and the trained levels keep the resolution that
they were trained for. At first the new levels only downsample the input of the
trained levels and upsample their output: the last convolution of each new block
is zero, and the block's shortcut passes on the channels that come from the
level below. All other parameters of the new levels are random.

The large network may also work on patches of pixels (`models/patches.py`), if
the small network works on single pixels. Each position then reads the mean of
its patch and writes the same colour to all pixels of the patch. If the small
network has no `DetailPath`, or one of another size, the large one gets random
parameters for it, and it adds nothing at first.

The large network may also have k times as many channels (`XUNet.ch`), see
`widening.py`. `ch_mult`, `emb_ch`, `attn_heads` and `norm_groups` must stay.

A network can also go on with smaller pictures, which take less time, if its
levels stay the same. Each entry of its position embedding is then the mean of
the entries that it replaces.
"""

from collections.abc import Callable, Mapping
import math
import re

from einops import reduce, repeat
from flax import traverse_util
from jaxtyping import PyTree
import numpy as np

from threedim_jax.models.widening import widen

_POSITIONS = "ConditioningProcessor_0/pos_emb"
_FIRST, _LAST = "Conv_0", "Conv_1"
_DETAIL = "DetailPath_0/"
_LEVEL_KERNEL = re.compile(r"ConditioningProcessor_0/Conv_\d+/kernel")
_NUMBERED = re.compile(
  r"^(XUNetBlock_|ResnetBlock_|ConditioningProcessor_0/Conv_)(\d+)"
)


def grow(
  params: PyTree, target: PyTree, create_params: Callable[[], PyTree]
) -> PyTree:
  """Adapts a network's parameters to another picture size or width.

  Of both sizes, the larger one must be an integer multiple of the smaller one.
  Arrays that cannot be adapted are returned unchanged, so the caller must
  compare all shapes with `target`.

  Args:
    params: parameters of the trained network, as host arrays.
    target: parameters of the network to train next, as arrays or shapes.
    create_params: makes random parameters with the shapes of `target`; called
      only if the large network has more levels, or a `DetailPath` that is new
      or of another size.

  Returns:
    Parameters of the network to train next.
  """
  small, large = _flat(params), _flat(target)
  if _POSITIONS in small and _POSITIONS in large:
    small[_POSITIONS] = _resize(
      np.asarray(small[_POSITIONS]), len(large[_POSITIONS])
    )
  old, new = _num_channels(small), _num_channels(large)
  if 0 < old < new and new % old == 0:
    small = widen(small, new // old)
  num_added = _num_levels(large) - _num_levels(small)
  detail = _detail_shapes(large)
  is_new_detail = detail and detail != _detail_shapes(small)
  random = _flat(create_params()) if num_added > 0 or is_new_detail else {}
  if num_added > 0:
    small = _put_levels_around(small, random, num_added)
  if _patch_area(large) > 1 and _patch_area(small) == 1:
    small = _work_on_patches(small, _patch_area(large))
  if is_new_detail:
    small = {n: x for n, x in small.items() if not n.startswith(_DETAIL)}
    small |= {name: random[name] for name in detail}
  return traverse_util.unflatten_dict(small, sep="/")


def _flat(tree: PyTree) -> dict:
  return traverse_util.flatten_dict(tree, sep="/")


def _detail_shapes(flat: Mapping) -> dict:
  return {n: np.shape(x) for n, x in flat.items() if n.startswith(_DETAIL)}


def _resize(positions: np.ndarray, size: int) -> np.ndarray:
  """Resizes a position embedding [h, w, d] to a height of `size`.

  It repeats entries or takes the mean of neighbours. If neither gives `size`,
  the embedding is returned unchanged.
  """
  h = len(positions)
  if size % h == 0:
    k = size // h
    return repeat(positions, "h w d -> (h a) (w b) d", a=k, b=k)
  if h % size == 0:
    k = h // size
    return reduce(positions, "(h a) (w b) d -> h w d", "mean", a=k, b=k)
  return positions


def _num_levels(flat: Mapping) -> int:
  return sum(bool(_LEVEL_KERNEL.fullmatch(name)) for name in flat)


def _block(name: str) -> str:
  """Returns the part of a name that tells which block the array belongs to."""
  match = _NUMBERED.match(name)
  return match[0] if match else name.split("/")[0]


def _put_levels_around(small: dict, large: dict, num_added: int) -> dict:
  """Renumbers the small network's blocks and adds `num_added` outer levels.

  `small` maps parameter names to arrays of the small network, and `large` maps
  names to random arrays of the large network. Blocks are numbered in the order
  in which the network runs them, so the new outer levels shift the numbers of
  the small network's blocks. Blocks that the small network does not have are
  taken from the large one.
  """
  # A level has n blocks on the way down and n + 1 on the way up. In each
  # direction, it also has one block that resamples.
  num_new = _num_blocks(large) - _num_blocks(small)
  n = (num_new // num_added - 1) // 2
  shift = {
    "XUNetBlock_": n * num_added,
    "ResnetBlock_": num_added,
    "ConditioningProcessor_0/Conv_": num_added,
  }

  def renumber(match):
    return f"{match[1]}{int(match[2]) + shift[match[1]]}"

  old = {_NUMBERED.sub(renumber, name): x for name, x in small.items()}
  # Every block divides by sqrt(2). This gain undoes the divisions, so that the
  # trained levels get inputs of the magnitude that they were trained on.
  gain = np.float32(math.sqrt(2.0) ** ((n + 1) * num_added))
  for name in (f"{_FIRST}/kernel", f"{_FIRST}/bias"):
    old[name] = np.asarray(old[name]) * gain
  trained = {_block(name) for name in old}
  new = {n: x for n, x in large.items() if _block(n) not in trained}
  for name, x in new.items():
    if name.endswith("ResnetBlock_0/Dense_0/kernel"):  # of a shortcut
      # The first input channels come from the level below. Pass these on.
      new[name] = math.sqrt(2.0) * np.eye(*x.shape, dtype=np.float32)
  return new | old


def _num_channels(flat: Mapping) -> int:
  """Returns `XUNet.ch`; 0 for another architecture."""
  first = flat.get(f"{_FIRST}/kernel")
  return 0 if first is None else first.shape[-1]


def _patch_area(flat: Mapping) -> int:
  """Returns the number of pixels in a patch; 0 for another architecture."""
  last = flat.get(f"{_LAST}/kernel")
  return 0 if last is None else last.shape[-1] // 3


def _work_on_patches(small: dict, area: int) -> dict:
  """Lets a network that works on pixels work on patches of `area` pixels."""
  read = repeat(
    np.asarray(small[f"{_FIRST}/kernel"]),
    "y x (f c) d -> y x (f p c) d",
    c=3,
    p=area,
  )
  write = {
    name: repeat(np.asarray(small[name]), "... c -> ... (p c)", p=area)
    for name in (f"{_LAST}/kernel", f"{_LAST}/bias")
  }
  return small | write | {f"{_FIRST}/kernel": read / np.float32(area)}


def _num_blocks(flat: Mapping) -> int:
  return len({n.split("/")[0] for n in flat if n.startswith("XUNetBlock_")})
