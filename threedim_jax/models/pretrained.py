# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the weights that ship with the package.

`weights/NAME.msgpack` holds the parameters in float16, and `weights/NAME.json`
holds the settings of the network. `weights/README.md` is the model card.

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

# name -> SHA-256 of weights/<name>.msgpack and of weights/<name>.json
SHA256 = {
  "shapes32": {
    ".msgpack": (
      "1144fab64222d593ecd98ec20deebe1927e3c5334be8d74886f2e0717e499577"
    ),
    ".json": (
      "7e4e3997c9c3b2f4bfa5298e86988b512c77bd1c9909656c373a32f43d7c4ecc"
    ),
  },
  "shapes64": {
    ".msgpack": (
      "edc838613992bce13b114c95d29a70dbd7ca09e98f8850de66d72263caa1947c"
    ),
    ".json": (
      "bf7b62a458f5aed5d0722c26b3d1824443219b1b22ee79bfb1c2252f527cc25b"
    ),
  },
  "shapes64_relative": {
    ".msgpack": (
      "d8b4b3132f0c3d2dcac36cd32480e1c5821d2473f344c1b976a94a7fcd9caa5d"
    ),
    ".json": (
      "fe4a7fe1563476a81fcb12f01c63147c33acf5a20857d1321df67516500b8772"
    ),
  },
}


def weights_path(name: str) -> epath.Path:
  """Returns the path of the .msgpack file that holds bundled weights.

  Raises:
    UserError: the package has no weights of that name.
  """
  if name not in SHA256:
    raise UserError(
      f"{name!r} names no weights that ship with threedim_jax; there are:"
      f" {', '.join(SHA256)}"
    )
  return WEIGHTS_DIR / f"{name}.msgpack"


def describe(name: str) -> dict:
  """Reads the network settings that are stored with bundled weights.

  Args:
    name: name of the weights, such as "shapes64".

  Returns:
    {"model": fields of `XUNet`, "prediction": one of `PREDICTIONS`,
    "resolution": height and width in pixels, "config": configuration file to
    use with the weights}.

  Raises:
    UserError: there are no weights of that name, or the file is damaged.
  """
  return json.loads(_read_intact(weights_path(name).with_suffix(".json")))


def read_weights(name: str) -> PyTree:
  """Reads the parameters of bundled weights as float32 host arrays.

  Raises:
    UserError: there are no weights of that name, or the file is damaged.
  """
  path = weights_path(name)
  data = _read_intact(path)
  try:
    params = serialization.msgpack_restore(data)
    return jax.tree.map(lambda x: x.astype(np.float32), params)
  # The type of the exception depends on which byte is wrong.
  except Exception as e:
    raise UserError(f"{path} holds no parameters ({type(e).__name__})") from e


def _read_intact(path: epath.Path) -> bytes:
  """Reads a file of bundled weights and checks its SHA-256.

  Raises:
    UserError: the file is missing or its SHA-256 is wrong.
  """
  try:
    data = path.read_bytes()
  except OSError as e:
    raise UserError(
      f"{path} is missing ({e.strerror}); install threedim_jax again"
    ) from e
  if hashlib.sha256(data).hexdigest() != SHA256[path.stem][path.suffix]:
    raise UserError(f"{path} is damaged; install threedim_jax again")
  return data


def load_pretrained(name: str, target: PyTree) -> PyTree:
  """Reads the parameters of bundled weights and checks that they fit a network.

  Args:
    name: name of the weights, such as "shapes64".
    target: the network's parameters, as a tree of arrays or shapes.

  Raises:
    UserError: the weights do not fit the network, or `read_weights` fails.
  """
  params = read_weights(name)
  check_same_arrays(
    f"the network of the weights {name}",
    {"params": array_specs(params)},
    {"params": target},
    "Leave --config out: the weights bring their own.",
  )
  return params


def check_settings_match(
  name: str, config: Any, *, for_training: bool = False
) -> None:
  """Checks that `config` has the settings that bundled weights need.

  Only settings that leave the shapes of arrays unchanged are checked, such as
  `diffusion.prediction`, because `load_pretrained` checks the shapes.

  Args:
    name: name of the weights.
    config: a whole configuration.
    for_training: the weights are only the start of a training. It may have
      other cameras: what the weights know of pictures helps it all the same.

  Raises:
    UserError: the weights were trained with another value of such a setting.
  """
  network = describe(name)
  fields = ["norm_groups"] + ["relative_cameras"] * (not for_training)
  settings = {
    "diffusion.prediction": (
      config.diffusion.prediction,
      network["prediction"],
    ),
  } | {
    f"model.{field}": (config.model[field], network["model"][field])
    for field in fields
  }
  for key, (configured, trained) in settings.items():
    check_setting(name, key, configured, trained)


def check_setting(name: str, key: str, configured: Any, trained: Any) -> None:
  """Checks that weights were trained with the configured value of a setting.

  Args:
    name: what the message calls the weights.
    key: key of the configuration, such as "diffusion.prediction".
    configured: value in the configuration of the command.
    trained: value that the weights were trained with.

  Raises:
    UserError: the values differ.
  """
  if configured != trained:
    raise UserError(
      f"the weights {name} were trained with {key}={trained}, but the"
      f" configuration has {configured}: add --config.{key}={trained}, or"
      " take other weights"
    )
