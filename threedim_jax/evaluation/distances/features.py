# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Features of sets of pictures, and the distances between two such sets.

`fd_effnetlite0` and `kd_effnetlite0` need only a pip package; `fid` and `kid`
need the file that pytorch-fid publishes. Features of a set are computed once
and then compared with any number of other sets.

  networks = open_networks(inception_weights=None)
  truth = extract_features(truth_u8, networks)
  result = compare(extract_features(images_u8, networks), truth)
  result.values["fd_effnetlite0"], result.variants["fd_effnetlite0"]
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import os

from absl import logging
import jax
from jaxtyping import Float32, PyTree, UInt8
import numpy as np

from threedim_jax.evaluation.distances import effnetlite0, inception
from threedim_jax.evaluation.distances.frechet import (
  MIN_IMAGES,
  frechet_distance,
)
from threedim_jax.evaluation.distances.kernel import kernel_distance
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError

Features = dict[str, Float32[np.ndarray, "N D"]]  # by name of the network

METRICS = {  # network: Frechet and kernel distance
  "effnetlite0": ("fd_effnetlite0", "kd_effnetlite0"),
  "inception": ("fid", "kid"),
}

MIN_IMAGES_FID = 2048  # as many as features: below it is mostly bias
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

_BATCH = 16  # 16 pictures take 150 MB; on a CPU more are no faster


@dataclasses.dataclass(frozen=True)
class Network:
  """`extract(params, images_u8)` gives features; `name` is a key of results."""

  name: str
  extract: Callable
  params: PyTree


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Distances by metric name, a description of each, and remarks."""

  values: dict[str, float]
  variants: dict[str, str]
  remarks: tuple[str, ...]


def open_networks(
  inception_weights: os.PathLike | str | None = None,
) -> tuple[Network, ...]:
  """Loads the networks whose weights are there; logs which are missing.

  Args:
    inception_weights: path of pytorch-fid's file; None leaves out FID and KID.

  Raises:
    UserError: the file is missing or has another SHA-256.
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
  """Features of every picture, of any size, by name of the network."""
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
        # The last batch is filled up, so one program serves all batches.
        filled = np.resize(batch, (_BATCH, *batch.shape[1:]))
        rows.append(np.asarray(_forward(network.extract, params, filled)))
        bar.advance(len(batch))
    features[network.name] = np.concatenate(rows)[: len(images_u8)]
  return features


def compare(x: Features, y: Features, *, seed: int = 0) -> Comparison:
  """Distances between two sets of one size; a smaller one is better.

  A metric that misleads for so few pictures is left out; a remark says so.

  Args:
    x: features of a set.
    y: features of another set by the same networks.
    seed: of the kernel distance's subsets.

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
    with progress.waiting(f"{frechet} and {kernel} of {num_images} pictures"):
      if network != "inception" or num_images >= MIN_IMAGES_FID:
        values[frechet] = frechet_distance(x[network], y[network])
      values[kernel], values[f"{kernel}_se"] = kernel_distance(
        x[network], y[network], seed=seed
      )
    if network == "inception":
      remarks += _remarks_on_fid(num_images)
    variants |= {
      name: _VARIANTS[name].format(n=num_images)
      for name in values
      if name not in variants
    }
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
