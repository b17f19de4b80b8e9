# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Loads trained weights as a `Sampler`: bundled weights or a checkpoint.

sampler = load_sampler("shapes64")           # bundled weights
sampler = load_sampler(workdir="runs/mine")  # the newest checkpoint
"""

from etils import epath
import jax
from jaxtyping import PyTree
from ml_collections import ConfigDict

from threedim_jax.models import make_init_fn
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
  network, mesh = describe(weights), _mesh(config)
  if config is not None:
    check_settings_match(weights, config)
  else:
    data = {"resolution": network["resolution"]}
    config = ConfigDict({"model": network["model"], "data": data})
  return Sampler(
    load_pretrained(weights, _param_shapes(config)),
    config.model,
    network["prediction"],
    config.data.resolution,
    mesh,
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
    if not {"model", "data", "diffusion"} <= saved.keys():
      raise UserError(
        f"{workdir}/config.json lacks sections of a configuration: restore the"
        " file"
      )
    config = ConfigDict(saved)
  shapes = _param_shapes(config)
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


def _param_shapes(config: ConfigDict) -> PyTree:
  """Returns the shapes and dtypes of a network's parameters.

  The parameters themselves are not computed. Of `config`, only `model` and
  `data.resolution` are read.
  """
  return jax.eval_shape(make_init_fn(config), jax.random.key(0))


def settings_of(config: ConfigDict) -> Settings:
  """Returns `config.sampler` as `Settings`."""
  return Settings(**dict(config.sampler))
