# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Generates views of data set objects into folders, batch after batch.

`--mode=sample` and `--mode=evaluate` differ only in which views they ask for;
both go through here. An object whose folder is complete is left alone, so
running again resumes. Several processes share the objects out: each samples
its own on its own devices, and only the folders bring them together.
"""

from collections.abc import Sequence
import time
import zlib

from absl import logging
from etils import epath
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import PyTree
from ml_collections import ConfigDict
import numpy as np

from threedim_jax.diffusion.sampler import Bank, make_bank, sample_next
from threedim_jax.models import get_camera_encoder, make_init_fn
from threedim_jax.models.pretrained import (
  check_settings_match,
  describe,
  load_pretrained,
)
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import EXIT_PREEMPTED
from threedim_jax.runtime.sharding import (
  batch_sharding,
  make_local_mesh,
  replicated,
  state_sharding,
)
from threedim_jax.runtime.stop_signal import StopSignal
from threedim_jax.runtime.watchdog import Watchdog
from threedim_jax.sampling.load import make_denoiser, sampler_options
from threedim_jax.sampling.object_folder import (
  ObjectViews,
  is_done,
  write_object,
)
from threedim_jax.views.cameras import Camera, scale_to_distance
from threedim_jax.views.pixels import from_u8
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir import samples
from threedim_jax.workdir.checkpoints.checkpointer import Checkpointer
from threedim_jax.workdir.protocol import Request


class Generator:
  """The averaged parameters of a workdir's checkpoint, ready to sample."""

  def __init__(
    self,
    config: ConfigDict,
    workdir: epath.PathLike,
    pretrained: str | None = None,
  ):
    """Restores, or takes the weights that ship under the name `pretrained`.

    UserError if there is no checkpoint or it does not fit.
    """
    self.config, self.pretrained = config, pretrained
    self.mesh = make_local_mesh(config.mesh.data, config.mesh.fsdp)
    shapes = jax.eval_shape(make_init_fn(config), jax.random.key(0))
    self._params_sh = state_sharding(self.mesh, shapes)
    target = jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      shapes,
      self._params_sh,
    )
    if pretrained:
      check_settings_match(pretrained, config)
      params = load_pretrained(pretrained, shapes)
      self.params = jax.device_put(params, self._params_sh)
      network = describe(pretrained)
      self.step, self.trained_config = (
        0,
        {
          "model": network["model"],
          "diffusion": {"prediction": network["prediction"]},
        },
      )
      return
    with (
      progress.waiting("restore the checkpoint"),
      Checkpointer(
        epath.Path(workdir) / "checkpoints", read_only=True
      ) as checkpointer,
    ):
      self.params, self.step, self.trained_config = checkpointer.restore_params(
        target
      )

  def _compile(self, rngs, bank, target_cams):
    """The program of one view; all views and all batches share it."""
    fn = jit_next_view(self.config, self.mesh, self._params_sh, bank)
    args = self._args(rngs, bank, target_cams, 0)
    with progress.waiting("compile the sampler"):
      return fn.lower(*args).compile()

  def _args(self, rngs, bank, target_cams, index):
    """Arguments of the program for the index-th view."""
    target_cam = jax.tree.map(lambda a: a[:, index], target_cams)
    sampler = self.config.sampler
    numbers = (
      jnp.int32(index),
      jnp.float32(sampler.guidance_weight),
      jnp.int32(sampler.num_sample_steps),
    )
    return self.params, rngs, bank, target_cam, *numbers

  def run(
    self,
    views: ObjectViews,
    requests: Sequence[Request],
    samples_dir: epath.PathLike,
    *,
    batch_size: int,
    seed: int,
  ) -> list[epath.Path]:
    """Generates what is missing; returns the folders of all requests.

    Folders are written as their batch ends: a run that is cut short loses no
    more than the batch it was at.

    Args:
      views: of the objects that the requests speak of.
      requests: all with the same numbers of given and of wanted views.
      samples_dir: one folder per object is made in it.
      batch_size: objects at a time.
      seed: another one gives other samples of the same views.
    """
    folders = [
      epath.Path(samples_dir) / samples.folder_name(r.object_id)
      for r in requests
    ]
    todo = [
      r
      for r, folder in zip(requests, folders, strict=True)
      if not is_done(views, r, folder, self.facts(seed))
    ]
    if not todo:
      return folders
    batch_size = min(batch_size, len(todo))
    num_targets = len(todo[0].target_views)
    batches = [
      todo[i : i + batch_size] for i in range(0, len(todo), batch_size)
    ]
    # The last batch is filled up, so that one program serves them all.
    fill = lambda batch: batch + [batch[-1]] * (batch_size - len(batch))
    with (
      StopSignal(together=False) as stop,
      Watchdog(epath.Path(samples_dir).parent) as watchdog,
      progress.bar("sample views", total=len(todo) * num_targets) as bar,
    ):
      compiled = self._compile(*self._inputs(views, fill(batches[0]), seed))
      num_views = 0
      for batch in batches:
        rngs, bank, target_cams = self._inputs(views, fill(batch), seed)
        start = time.monotonic()
        for i in range(num_targets):
          _leave_if_asked(stop)
          bank = compiled(*self._args(rngs, bank, target_cams, i))
          jax.block_until_ready(bank)
          num_views += len(batch)
          watchdog.beat(num_views)
          bar.advance(len(batch))
        seconds = (time.monotonic() - start) / (num_targets * len(batch))
        for row, request in enumerate(batch):
          generated = np.asarray(bank.views[row, len(request.input_views) :])
          facts = {**self.facts(seed), "seconds_per_view": seconds}
          write_object(views, request, generated, facts, samples_dir)
      _leave_if_asked(stop)
    return folders

  def _inputs(self, views: ObjectViews, requests: Sequence[Request], seed: int):
    """Keys, bank and target cameras of a batch of objects."""
    given = [views.object(r.object_id, r.input_views) for r in requests]
    wanted = [views.object(r.object_id, r.target_views) for r in requests]
    images_u8 = np.stack([posed.images_u8 for posed in given])
    capacity = len(given[0]) + len(wanted[0])
    # An object's pictures depend on the seed and its id alone.
    rngs = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(
      np.array([zlib.crc32(r.object_id.encode()) for r in requests], np.uint32)
    )
    given_cams, wanted_cams = _stack_cameras(given), _stack_cameras(wanted)
    if self.config.sampler.camera_distance is not None:
      # The folders keep the cameras of the data set.
      given_cams, wanted_cams = scale_to_distance(
        given_cams, wanted_cams, self.config.sampler.camera_distance
      )
    bank = make_bank(from_u8(jnp.asarray(images_u8)), given_cams, capacity)
    return rngs, bank, wanted_cams

  def facts(self, seed: int) -> dict:
    """What besides the data decides the pictures of an object."""
    sampler = self.config.sampler
    return {
      "seed": seed,
      "num_sample_steps": sampler.num_sample_steps,
      "guidance_weight": sampler.guidance_weight,
      "guidance_interval": list(sampler.guidance_interval),
      "camera_distance": sampler.camera_distance,
      "conditioning": sampler.conditioning,
      "solver": sampler.solver,
      "checkpoint_step": self.step,
    } | ({"pretrained": self.pretrained} if self.pretrained else {})


def jit_next_view(
  config: ConfigDict, mesh: Mesh, params_sh: PyTree, bank: Bank
) -> jax.stages.Wrapped:
  """Jits the generation of one more view of every object of a batch.

  Args:
    config: a whole configuration.
    mesh: devices that share the objects.
    params_sh: shardings of the parameters.
    bank: of the objects; shapes are enough.

  Returns:
    (params, rngs, bank, target camera, index of the view, guidance weight,
    number of sampling steps) -> bank with the view.
  """
  denoiser = make_denoiser(config)
  options = sampler_options(config)

  def next_view(
    params, rngs, bank, target_cam, index, guidance_weight, num_sample_steps
  ):
    return sample_next(
      denoiser(params),
      rngs,
      bank,
      target_cam,
      index,
      guidance_weight=guidance_weight,
      num_sample_steps=num_sample_steps,
      encode_camera=get_camera_encoder(
        config.model, params, bank.views.shape[2:4]
      ),
      **options,
    )

  # A batch that does not split evenly runs whole on every device.
  rep = replicated(mesh)
  even = bank.views.shape[0] % mesh.size == 0
  by_object = batch_sharding(mesh) if even else rep
  bank_sh = jax.tree.map(lambda x: by_object if x.ndim else rep, bank)
  return jax.jit(
    next_view,
    in_shardings=(params_sh, by_object, bank_sh, by_object, rep, rep, rep),
    out_shardings=bank_sh,
  )


def my_share(requests: Sequence[Request]) -> Sequence[Request]:
  """Those that this process samples; every object is one process's."""
  return requests[jax.process_index() :: jax.process_count()]


def _leave_if_asked(stop: StopSignal) -> None:
  """A batch that is cut short is sampled again; what is written stays."""
  if stop.poll():
    logging.warning("SIGTERM: run again to sample what is missing.")
    raise SystemExit(EXIT_PREEMPTED)


def _stack_cameras(views: Sequence[PosedViews]) -> Camera:
  cameras = [posed.cameras() for posed in views]
  return jax.tree.map(lambda *x: jnp.stack(x), *cameras)
