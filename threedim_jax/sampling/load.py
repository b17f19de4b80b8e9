# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Loads trained weights as a `Sampler`: bundled weights or a checkpoint.

sampler = load_sampler("shapes64")           # bundled weights
sampler = load_sampler(workdir="runs/mine")  # the newest checkpoint
"""

from collections.abc import Callable
from typing import Any

from etils import epath
import jax
from jaxtyping import PyTree
from ml_collections import ConfigDict

from threedim_jax.diffusion.denoise import DenoiseFn, bind_params
from threedim_jax.models import dummy_inputs, get_model
from threedim_jax.models.pretrained import (
  check_settings_match,
  describe,
  load_pretrained,
)
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.sharding import (
  make_local_mesh,
  state_sharding,
  with_shardings,
)
from threedim_jax.sampling.view_sampler import Sampler, Settings
from threedim_jax.workdir.checkpoints.checkpointer import FOLDER, Checkpointer
from threedim_jax.workdir.config_file import read_config


def load_sampler(
  weights: str | None = None,
  *,
  workdir: epath.PathLike | None = None,
  config: ConfigDict | None = None,
) -> Sampler:
  """Loads bundled weights, or the newest checkpoint of a workdir.

  Args:
    weights: name of bundled weights, such as "shapes64".
    workdir: folder of a training run, used if `weights` is None.
    config: a configuration that must match the weights; it also sets the device
      mesh. None: use the configuration that is stored with the weights, and all
      devices of this process.

  Returns:
    A `Sampler` with the averaged (EMA) parameters.

  Raises:
    UserError: the weights or the checkpoint do not exist, a file is damaged, or
      `config` describes another network. Of a workdir only the shapes of the
      arrays are compared.
  """
  if weights is None:
    return _load_workdir(epath.Path(workdir), config)
  network = describe(weights)
  model_config, resolution = network["model"], network["resolution"]
  if config is not None:
    check_settings_match(weights, config)
    model_config, resolution = config.model, config.data.resolution
  return Sampler(
    load_pretrained(weights, _param_shapes(model_config, resolution)),
    model_config,
    network["prediction"],
    resolution,
    _mesh(config),
    name=weights,
    trained_config={
      "model": network["model"],
      "diffusion": {"prediction": network["prediction"]},
    },
  )


def _load_workdir(workdir: epath.Path, config: ConfigDict | None) -> Sampler:
  mesh = _mesh(config)
  if config is None:
    saved = read_config(workdir)
    if saved is None:
      raise UserError(f"{workdir} holds no training run: it has no config.json")
    config = ConfigDict(saved)
  shapes = _param_shapes(config.model, config.data.resolution)
  target = with_shardings(shapes, state_sharding(mesh, shapes))
  with (
    progress.waiting("restore the checkpoint"),
    Checkpointer(workdir / FOLDER, read_only=True) as checkpointer,
  ):
    params, step, trained_config = checkpointer.restore_params(target)
  return Sampler(
    params,
    config.model,
    config.diffusion.prediction,
    config.data.resolution,
    mesh,
    step=step,
    trained_config=trained_config,
  )


def _mesh(config: ConfigDict | None) -> jax.sharding.Mesh:
  """Makes the device mesh that `config.mesh` describes.

  The mesh has only devices of this process. If `config` is None, the mesh has
  all devices of this process.
  """
  if config is None:
    return make_local_mesh(data=-1, fsdp=1)
  return make_local_mesh(config.mesh.data, config.mesh.fsdp)


def _param_shapes(model_config: Any, resolution: int) -> PyTree:
  """Returns the shapes and dtypes of a network's parameters.

  The parameters themselves are not computed. `resolution` is the height and
  width of the pictures, in pixels.
  """
  model, inputs = get_model(model_config), dummy_inputs(resolution)

  def init(rng):
    return model.init(rng, *inputs, train=False)["params"]

  return jax.eval_shape(init, jax.random.key(0))


def settings_of(config: ConfigDict) -> Settings:
  """Returns `config.sampler` as `Settings`."""
  return Settings(**dict(config.sampler))


def make_denoiser(
  config: ConfigDict, platform: str = "cpu"
) -> Callable[[PyTree], DenoiseFn]:
  """Returns a function that turns network parameters into a `DenoiseFn`.

  The `DenoiseFn` has no dropout.

  Args:
    config: a configuration; only `model` and `diffusion` are read.
    platform: "cpu", "gpu" or "tpu", where the network should be fast.
  """
  model = get_model(config.model, platform)
  prediction = config.diffusion.prediction
  return lambda params: bind_params(model, params, prediction)
