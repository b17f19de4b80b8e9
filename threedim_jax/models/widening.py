# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adapts the parameters of an X-UNet to a network with more channels.

Every channel of the narrow network becomes k channels of the wide one, side by
side, so that a group norm's groups keep their contents. At first these k
channels are equal, and the wide network computes the same as the narrow one. A
layer that reads a channel reads all k copies of it, with weights that sum to
the old weight. How the old weight is divided is random: otherwise the copies
would get equal gradients and stay equal (Net2Net, arXiv 1511.05641, sec. 2).

The embeddings of log-SNR and rays and the inner channels of the `DetailPath`
keep their number. `ch_mult`, `attn_heads` and `norm_groups` must stay the same.
"""

from collections.abc import Mapping
import math

from einops import repeat
import numpy as np

_QUERIES = "AttnLayer_0/DenseGeneral_0/"


def widen(params: Mapping[str, np.ndarray], factor: int) -> dict:
  """Multiplies the number of channels of every feature map by `factor`.

  `params` maps the names of an X-UNet's parameters to host arrays.
  """
  rng = np.random.default_rng(0)
  return {
    name: _widen(name, np.asarray(x), factor, rng) if any(_ends(name)) else x
    for name, x in params.items()
  }


def _ends(name: str) -> tuple[bool, bool]:
  """Tells whether a layer reads and writes feature maps of the U-Net."""
  if name.startswith("Conv_0/"):
    return False, True  # reads views
  if name.startswith(("Conv_1/", "DetailPath_0/Conv_1/")):
    return True, False  # writes pixels, or features of the `DetailPath`
  inside = name.startswith(("XUNetBlock_", "ResnetBlock_", "GroupNorm_0/"))
  return inside and "/FiLM_0/" not in name, inside  # FiLM reads embeddings


def _widen(
  name: str, x: np.ndarray, k: int, rng: np.random.Generator
) -> np.ndarray:
  reads, writes = _ends(name)
  if writes:
    x = repeat(x, "... c -> ... (c k)", k=k)
  if _QUERIES in name:
    # The logits sum k times as many products, over a sqrt(k) times larger root.
    x = x / np.float32(math.sqrt(k))
  if reads and name.endswith("kernel"):
    # The projections of attention have the axes [input, heads, channels].
    x = _divide(x, 0 if "AttnLayer_0/" in name else x.ndim - 2, k, rng)
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
