# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Features of sets that grow object by object, and rows of their distances.

A set is one distribution: the pictures of all objects together. A mean of
per-object distances would be another, much larger number.

  pool = Pool(open_networks())
  for sampled in samples:
    pool.add("model", sampled.generated.images_u8)
    pool.add("truth", sampled.truth.images_u8)
  distances = pool.distances({"model": "truth"})
"""

from collections.abc import Mapping, Sequence
import dataclasses

from jaxtyping import UInt8
import numpy as np

from threedim_jax.evaluation.distances.features import (
  Features,
  Network,
  compare,
  extract_features,
)

_WAITING = 1024  # so many pictures of a set are turned into features together


@dataclasses.dataclass(frozen=True)
class Distances:
  """{row: {metric: value}}, descriptions of the metrics, and remarks."""

  rows: dict[str, dict[str, float]]
  variants: dict[str, str]
  remarks: list[str]


class Pool:
  """Named sets of pictures, kept as features."""

  def __init__(self, networks: Sequence[Network]):
    self._networks = networks
    self._waiting: dict[str, list[np.ndarray]] = {}
    self._done: dict[str, list[Features]] = {}

  def add(self, name: str, images_u8: UInt8[np.ndarray, "N H W 3"]) -> None:
    """Adds pictures to a set."""
    if not self._networks:
      return
    waiting = self._waiting.setdefault(name, [])
    waiting.append(images_u8)
    if sum(map(len, waiting)) >= _WAITING:
      self._extract(name)

  def _extract(self, name: str) -> None:
    # Objects may differ in the size of their pictures.
    sizes: dict[tuple[int, ...], list[np.ndarray]] = {}
    for images_u8 in self._waiting.pop(name, []):
      sizes.setdefault(images_u8.shape[1:], []).append(images_u8)
    for images_u8 in sizes.values():
      features = extract_features(np.concatenate(images_u8), self._networks)
      self._done.setdefault(name, []).append(features)

  def features(self, name: str) -> Features:
    """Of all pictures of the set so far, in no particular order."""
    self._extract(name)
    parts = self._done.get(name, [])
    return {
      network.name: np.concatenate([part[network.name] for part in parts])
      for network in self._networks
    }

  def distances(self, pairs: Mapping[str, str]) -> Distances:
    """Rows of distances between the sets of each (row, reference) pair."""
    result = Distances({}, {}, [])
    for row, reference in pairs.items():
      comparison = compare(self.features(row), self.features(reference))
      result.rows[row] = comparison.values
      result.variants.update(comparison.variants)
      new = [r for r in comparison.remarks if r not in result.remarks]
      result.remarks.extend(new)
    return result
