# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compares sets of pictures by their features in pretrained networks.

EfficientNet-Lite0 gives the Frechet distance `fd_effnetlite0` and the kernel
distance `kd_effnetlite0`. Its weights come from a pip package. Inception gives
the Frechet distance `fid` and the kernel distance `kid`. Its weights file is
published by pytorch-fid.

  pool = Pool(open_networks())
  for folder in folders:  # each holds the samples of one object
    sampled = read_sample(folder)
    pool.add("model", sampled.generated.images_u8)
    pool.add("truth", sampled.truth.images_u8)
  rows = {"model": {}}  # the scores of the set "model"
  pool.add_distances(rows, {"model": "truth"})
  rows["model"]["fd_effnetlite0"]  # distance of "model" from "truth"

Each set holds the pictures of all objects. If a distance were computed for each
object and then averaged, it would be much larger.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import os

from absl import logging
import jax
from jaxtyping import Float32, PyTree, UInt8
import numpy as np

from threedim_jax.evaluation.distances import effnetlite0, inception
from threedim_jax.evaluation.distances.set_distances import (
  MIN_IMAGES,
  frechet_distance,
  kernel_distance,
)
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.results import finite

Features = dict[str, Float32[np.ndarray, "N D"]]  # by name of the network

METRICS = {  # network: names of its Frechet and its kernel distance
  "effnetlite0": ("fd_effnetlite0", "kd_effnetlite0"),
  "inception": ("fid", "kid"),
}

MIN_IMAGES_FID = 2048  # the number of features; FID of fewer pictures is biased
FEW_IMAGES_FID = 10_000

_NOT_FID = "not FID, not comparable with any paper"
_KERNEL = "unbiased squared MMD, kernel (x.y/d + 1)^3, not times 1000"
_ERROR = "standard error over pictures, n={n}, of"
_VARIANTS = {
  "fd_effnetlite0": (
    "Frechet distance of EfficientNet-Lite0 features, n={n}: " + _NOT_FID
  ),
  "kd_effnetlite0": (
    f"kernel distance of EfficientNet-Lite0 features, n={{n}} ({_KERNEL}): "
    + _NOT_FID
  ),
  "kd_effnetlite0_se": f"{_ERROR} kd_effnetlite0 ({_NOT_FID})",
  "fid": "FID, pytorch-fid Inception, n={n}",
  "kid": f"KID, pytorch-fid Inception, n={{n}} ({_KERNEL})",
  "kid_se": f"{_ERROR} kid",
}

_BATCH = 16  # pictures; takes 150 MB, and a larger batch is no faster on a CPU
_WAITING = 1024  # pictures to collect in a set before computing their features


@dataclasses.dataclass(frozen=True)
class Network:
  """A pretrained network that turns pictures into features.

  Attributes:
    name: "effnetlite0" or "inception", a key of `METRICS`.
    extract: function (params, pictures [B, H, W, 3]) -> features [B, D].
    params: parameters of the network.
  """

  name: str
  extract: Callable
  params: PyTree


@dataclasses.dataclass(frozen=True)
class Comparison:
  """The distances between two sets of pictures.

  Attributes:
    values: {metric: distance}.
    variants: {metric: text that says how the metric was computed}.
    remarks: sentences on metrics that are missing or biased.
  """

  values: dict[str, float]
  variants: dict[str, str]
  remarks: tuple[str, ...]


def open_networks(
  inception_weights: os.PathLike | str | None = None,
) -> tuple[Network, ...]:
  """Loads the networks whose weights are available.

  Logs a warning if the pip package with EfficientNet-Lite0's weights is
  missing.

  Args:
    inception_weights: path of Inception's weights file, which pytorch-fid
      publishes. None: Inception is not loaded, so there is no FID and no KID.

  Raises:
    UserError: a weights file is missing or does not have the expected SHA-256.
  """
  networks = []
  params = effnetlite0.load_params()
  if params is None:
    logging.warning(effnetlite0.ABSENT)
  else:
    networks.append(Network("effnetlite0", effnetlite0.extract, params))
  if inception_weights is not None:
    params = inception.load_params(inception_weights)
    networks.append(Network("inception", inception.extract, params))
  return tuple(networks)


@functools.partial(jax.jit, static_argnums=0)
def _forward(extract, params, images_u8):
  return extract(params, images_u8)


def extract_features(
  images_u8: UInt8[np.ndarray, "N H W 3"], networks: Sequence[Network]
) -> Features:
  """Computes the features of all pictures with each network.

  Returns:
    {name of the network: features [N, D]}.

  Raises:
    UserError: there are no pictures.
  """
  if not len(images_u8):
    raise UserError("there are no pictures to compare")
  features = {}
  for network in networks:
    params, rows = jax.device_put(network.params), []
    with progress.bar(
      f"{network.name} features",
      total=len(images_u8),
      unit="picture",
      skip_first=True,
    ) as bar:
      for start in range(0, len(images_u8), _BATCH):
        batch = images_u8[start : start + _BATCH]
        # The last batch is filled up, so that one program runs all batches.
        filled = np.resize(batch, (_BATCH, *batch.shape[1:]))
        rows.append(np.asarray(_forward(network.extract, params, filled)))
        bar.advance(len(batch))
    features[network.name] = np.concatenate(rows)[: len(images_u8)]
  return features


class Pool:
  """Holds named sets of pictures, and computes distances between two sets.

  One such distance is FID. Pictures are added object by object. A set keeps the
  features of its pictures and drops the pictures, so more pictures can be added
  than fit into memory.
  """

  def __init__(self, networks: Sequence[Network]):
    self._networks = networks
    self._waiting: dict[str, list[np.ndarray]] = {}
    self._done: dict[str, list[Features]] = {}

  def add(self, name: str, images_u8: UInt8[np.ndarray, "N H W 3"]) -> None:
    """Adds pictures to the set `name`. A new name creates a new set."""
    if not self._networks:
      return
    waiting = self._waiting.setdefault(name, [])
    waiting.append(images_u8)
    if sum(map(len, waiting)) >= _WAITING:
      self._extract(name)

  def add_distances(
    self, rows: Mapping[str, dict[str, float]], pairs: Mapping[str, str]
  ) -> tuple[dict[str, str], list[str]]:
    """Compares pairs of sets, and adds the distances to `rows`.

    Args:
      rows: {name of a set: its scores}; changed in place.
      pairs: {name of a set: name of the set to compare it with}.

    Returns:
      ({metric: text that says how it was computed}, remarks on metrics that
      are missing or biased).

    Raises:
      UserError: the two sets of a pair differ in size.
    """
    variants, remarks = {}, []
    for row, reference in pairs.items():
      found = compare(self._features(row), self._features(reference))
      rows[row].update(finite(found.values))
      variants |= found.variants
      remarks += [r for r in found.remarks if r not in remarks]
    return variants, remarks

  def _features(self, name: str) -> Features:
    self._extract(name)
    parts = self._done.get(name, [])
    return {
      network.name: np.concatenate([part[network.name] for part in parts])
      for network in self._networks
    }

  def _extract(self, name: str) -> None:
    """Computes the features of a set's pictures, except those computed before.

    Pictures of the same size go through the networks together.
    """
    sizes: dict[tuple[int, ...], list[np.ndarray]] = {}
    for images_u8 in self._waiting.pop(name, []):
      sizes.setdefault(images_u8.shape[1:], []).append(images_u8)
    for images_u8 in sizes.values():
      features = extract_features(np.concatenate(images_u8), self._networks)
      self._done.setdefault(name, []).append(features)


def compare(x: Features, y: Features) -> Comparison:
  """Computes the distances between two sets with the same number of pictures.

  A smaller distance is better. If the sets have too few pictures for a metric,
  the metric is left out and a remark says so.

  Args:
    x: {name of the network: features [N, D]} of one set.
    y: features of the other set, from the same networks.

  Raises:
    UserError: the sets differ in size.
  """
  values, variants, remarks = {}, {}, []
  for network in x:
    frechet, kernel = METRICS[network]
    num_images = len(x[network])
    if num_images < MIN_IMAGES:
      remarks.append(
        f"{frechet} and {kernel} are left out: they need at least"
        f" {MIN_IMAGES} pictures, not {num_images}."
      )
      continue
    found = {}
    with progress.waiting(f"{frechet} and {kernel} of {num_images} pictures"):
      if network != "inception" or num_images >= MIN_IMAGES_FID:
        found[frechet] = frechet_distance(x[network], y[network])
      found[kernel], found[f"{kernel}_se"] = kernel_distance(
        x[network], y[network]
      )
    if network == "inception":
      remarks += _remarks_on_fid(num_images)
    values |= found
    variants |= {name: _VARIANTS[name].format(n=num_images) for name in found}
  return Comparison(values, variants, tuple(remarks))


def _remarks_on_fid(num_images: int) -> list[str]:
  if num_images < MIN_IMAGES_FID:
    return [
      f"fid is left out: of {num_images} pictures it would be mostly bias; it"
      f" needs at least {MIN_IMAGES_FID}. kid has no such bias."
    ]
  if num_images < FEW_IMAGES_FID:
    return [
      f"fid of only {num_images} pictures (below {FEW_IMAGES_FID:,}) is biased"
      " upwards: compare it only with values of as many pictures."
    ]
  return []
