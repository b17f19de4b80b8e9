# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights that ship with the package: float16, msgpack, checked by SHA-256.

  denoise_fn, resolution = load_denoiser("shapes32")
  python -m threedim_jax.models.pretrained --workdir W --out FILE  # writes one

`weights/README.md` is their model card; `weights/NAME.json` describes the
network.
"""

import argparse
from collections.abc import Callable
import hashlib
import json

from etils import epath
from flax import serialization
import jax
from jaxtyping import PyTree
from ml_collections import ConfigDict
import numpy as np

from threedim_jax.diffusion.denoise import DenoiseFn, make_denoise_fn
from threedim_jax.models import get_model
from threedim_jax.models.growth import grow
from threedim_jax.runtime.errors import UserError, exit_with_message
from threedim_jax.workdir.checkpoints.array_specs import (
  array_specs,
  check_same_arrays,
)

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


def load_denoiser(name: str) -> tuple[DenoiseFn, int]:
  """(the trained network, height and width of its pictures).

  Raises:
    UserError: unknown name or damaged file.
  """
  params = _read(name)
  network = describe(name)
  model = get_model(network["model"])
  apply_fn = lambda *args: model.apply({"params": params}, *args, train=False)
  return make_denoise_fn(apply_fn, network["prediction"]), network["resolution"]


def describe(name: str) -> dict:
  """The network behind the weights: "model", "prediction", "resolution"."""
  _check_name(name)
  return json.loads((WEIGHTS_DIR / f"{name}.json").read_text())


def check_meaning(name: str, config: ConfigDict) -> None:
  """Refuses a configuration that would take the network for another one.

  What arrays show, `load_pretrained` compares; this is what they do not show.
  """
  network = describe(name)
  differ = {
    "diffusion.prediction": (
      config.diffusion.prediction,
      network["prediction"],
    ),
  } | {
    f"model.{field}": (config.model[field], network["model"][field])
    for field in ("relative_cameras", "norm_groups")
  }
  for key, (here, there) in differ.items():
    if here != there:
      raise UserError(
        f"the weights {name} were trained with {key}={there}, the configuration"
        f" has {here}: add --config.{key}={there}, or take other weights"
      )


def load_pretrained(name: str, target: PyTree) -> PyTree:
  """Parameters in float32, as host arrays.

  Args:
    name: one of `SHA256`.
    target: arrays or shapes that the parameters must agree with.

  Raises:
    UserError: unknown name, damaged file, or a network of another shape.
  """
  params = _read(name)
  _check_arrays(_path(name), params, target)
  return params


def starting_params(
  config: ConfigDict, target: PyTree, create_params: Callable[[], PyTree]
) -> PyTree:
  """What a training starts from, `train.init_from`, in float32.

  Pictures of the training before may have been smaller by a whole factor: to
  learn poses and outlines from small pictures first takes less time.

  Args:
    config: names one of `SHA256`, or the workdir of another training.
    target: arrays or shapes that the parameters must agree with.
    create_params: random ones, for levels that the source does not have.

  Raises:
    UserError: no such weights or workdir, or a network of another shape or,
      of weights that ship, another meaning.
  """
  source = config.train.init_from
  if source in SHA256:
    check_meaning(source, config)
    params, path = _read(source), _path(source)
  elif (epath.Path(source) / "checkpoints").is_dir():
    params, _ = read_workdir(source)
    path = epath.Path(source)
  else:
    raise UserError(
      f"train.init_from={source!r} is neither the workdir of a training nor"
      f" weights that ship with threedim_jax ({', '.join(SHA256)})"
    )
  params = grow(params, target, create_params)
  _check_arrays(path, params, target)
  return params


def _check_arrays(path: epath.Path, params: PyTree, target: PyTree) -> None:
  check_same_arrays(path, {"params": array_specs(params)}, {"params": target})


def read_workdir(workdir: epath.PathLike) -> tuple[PyTree, dict]:
  """(averaged parameters as host arrays, config) of the newest checkpoint.

  UserError if there is none.
  """
  from threedim_jax.workdir.checkpoints.checkpointer import Checkpointer

  folder = epath.Path(workdir).absolute() / "checkpoints"
  with Checkpointer(folder, read_only=True) as checkpointer:
    return checkpointer.read_params()


def _check_name(name: str) -> None:
  if name not in SHA256:
    raise UserError(
      f"{name!r} names no weights that ship with threedim_jax; there are:"
      f" {', '.join(SHA256)}"
    )


def _path(name: str) -> epath.Path:
  return WEIGHTS_DIR / f"{name}.msgpack"


def _read(name: str) -> PyTree:
  _check_name(name)
  data = _path(name).read_bytes()
  if hashlib.sha256(data).hexdigest() != SHA256[name]:
    raise UserError(f"{_path(name)} is damaged; install threedim_jax again")
  params = serialization.msgpack_restore(data)
  return jax.tree.map(lambda x: x.astype(np.float32), params)


def export(workdir: epath.PathLike, out: epath.PathLike) -> str:
  """Writes the averaged parameters of a workdir; returns their SHA-256.

  The description of the network goes beside `out`, NAME.msgpack: NAME.json.
  """
  out = epath.Path(out)
  params, config = read_workdir(workdir)
  half = jax.tree.map(lambda x: np.asarray(x, np.float16), params)
  data = serialization.msgpack_serialize(half)
  del config["model"]["remat"]  # how it was trained, not what it is
  network = {
    "resolution": config["data"]["resolution"],
    "prediction": config["diffusion"]["prediction"],
    "model": config["model"],
  }
  out.write_bytes(data)
  out.with_suffix(".json").write_text(json.dumps(network, indent=2) + "\n")
  return hashlib.sha256(data).hexdigest()


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--workdir", required=True)
  parser.add_argument("--out", required=True)
  args = parser.parse_args()
  with exit_with_message():
    print(export(args.workdir, args.out))


if __name__ == "__main__":
  main()
