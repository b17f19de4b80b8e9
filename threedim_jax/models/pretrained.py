# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The weights that ship with the package.

`weights/NAME.msgpack` holds parameters in float16 and `weights/NAME.json` the
settings of their network. `weights/README.md` is the model card.

  params, network = read_weights("shapes32"), describe("shapes32")
  model = get_model(network["model"])
"""

import hashlib
import json
from typing import Any

from etils import epath
from flax import serialization
import jax
from jaxtyping import PyTree
import numpy as np

from threedim_jax.runtime.array_specs import array_specs, check_same_arrays
from threedim_jax.runtime.errors import UserError

WEIGHTS_DIR = epath.resource_path("threedim_jax") / "models" / "weights"

# name -> SHA-256 of weights/<name>.msgpack
SHA256 = {
  "shapes32": (
    "1144fab64222d593ecd98ec20deebe1927e3c5334be8d74886f2e0717e499577"
  ),
  "shapes32_relative": (
    "1245e1b66d015380bb6f242e682668f9df09d6725c6bcab12f0a62238538a068"
  ),
  "shapes64": (
    "bcb18252c1ffcaee92b09c4349cd4dd4c14ee937e32275adb1904f5a268f3294"
  ),
}


def weights_path(name: str) -> epath.Path:
  """The file of the weights; UserError if there are none of that name."""
  if name not in SHA256:
    raise UserError(
      f"{name!r} names no weights that ship with threedim_jax; there are:"
      f" {', '.join(SHA256)}"
    )
  return WEIGHTS_DIR / f"{name}.msgpack"


def describe(name: str) -> dict:
  """The settings of the network: "model", "prediction", "resolution"."""
  return json.loads(weights_path(name).with_suffix(".json").read_text())


def read_weights(name: str) -> PyTree:
  """Reads parameters as float32 host arrays.

  Raises:
    UserError: there are no weights of that name, or the file is damaged.
  """
  path = weights_path(name)
  data = path.read_bytes()
  if hashlib.sha256(data).hexdigest() != SHA256[name]:
    raise UserError(f"{path} is damaged; install threedim_jax again")
  params = serialization.msgpack_restore(data)
  return jax.tree.map(lambda x: x.astype(np.float32), params)


def load_pretrained(name: str, target: PyTree) -> PyTree:
  """Reads parameters that must agree with `target`, arrays or shapes.

  Raises:
    UserError: as `read_weights`, or the network has another architecture.
  """
  params = read_weights(name)
  check_same_arrays(
    weights_path(name), {"params": array_specs(params)}, {"params": target}
  )
  return params


def check_settings_match(name: str, config: Any) -> None:
  """Checks the settings that the shapes of the arrays do not reveal.

  Args:
    name: of the weights.
    config: a whole configuration.

  Raises:
    UserError: the weights were trained with other settings.
  """
  network = describe(name)
  settings = {
    "diffusion.prediction": (
      config.diffusion.prediction,
      network["prediction"],
    ),
  } | {
    f"model.{field}": (config.model[field], network["model"][field])
    for field in ("relative_cameras", "norm_groups")
  }
  for key, (configured, trained) in settings.items():
    if configured != trained:
      raise UserError(
        f"the weights {name} were trained with {key}={trained}, but the"
        f" configuration has {configured}: add --config.{key}={trained}, or"
        " take other weights"
      )
