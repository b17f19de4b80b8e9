# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adapts the parameters of an X-UNet to a network with more channels.

Every channel of the narrow network becomes k channels of the wide one, side by
side, so that a group norm's groups keep their contents. At first these k
channels are equal, and the wide network computes the same as the narrow one. A
layer that reads a channel reads all k copies of it, with weights that sum to
the old weight. How the old weight is divided is random: otherwise the copies
would get equal gradients and stay equal (Net2Net, arXiv 1511.05641, sec. 2).
"""

from collections.abc import Mapping
import math

from einops import repeat
import numpy as np

_QUERY = "AttnLayer_0/DenseGeneral_0/"  # the first of a layer's projections


def widen(narrow: Mapping, wide: Mapping) -> dict:
  """Adapts every array to the number of channels of its namesake.

  An array is returned unchanged if more than its numbers of input and output
  channels would have to change.

  Args:
    narrow: names and arrays of the trained network.
    wide: names and arrays, or shapes, of the network to train next.
  """
  rng = np.random.default_rng(0)
  return {
    name: _widen(name, np.asarray(x), wide[name].shape, rng)
    if name in wide
    else x
    for name, x in narrow.items()
  }


def _widen(
  name: str, x: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
  """Adapts one array to `shape`, if only its channels differ."""
  if x.ndim != len(shape) or any(
    n % m for n, m in zip(shape, x.shape, strict=True)
  ):
    return x
  factors = [n // m for n, m in zip(shape, x.shape, strict=True)]
  reads = None
  if name.endswith("kernel"):
    # The projections of attention read axis 0, and write heads and channels.
    reads = 0 if x.ndim == 3 else x.ndim - 2
  others = [k for i, k in enumerate(factors) if i not in (reads, x.ndim - 1)]
  if any(k != 1 for k in others):
    return x
  copies = factors[-1]
  x = repeat(x, "... c -> ... (c k)", k=copies)
  if _QUERY in name:
    # A sum over k times as many channels, divided by sqrt(k) times as much.
    x = x / np.float32(math.sqrt(copies))
  if reads is not None and factors[reads] > 1:
    x = _divide(x, reads, factors[reads], rng)
  return x


def _divide(
  x: np.ndarray, axis: int, num_parts: int, rng: np.random.Generator
) -> np.ndarray:
  """Divides each weight along `axis` at random into neighbours with its sum."""
  x = np.moveaxis(x, axis, 0)
  parts = rng.uniform(0.5, 1.5, (len(x), num_parts, *x.shape[1:]))
  parts /= parts.sum(axis=1, keepdims=True)
  divided = parts.astype(x.dtype) * x[:, None]
  return np.moveaxis(divided.reshape(-1, *x.shape[1:]), 0, axis)
