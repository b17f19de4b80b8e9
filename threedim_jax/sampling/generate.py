# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes sampled views of many objects to folders, and resumes stopped runs.

`--mode=sample` and `--mode=evaluate` both call `generate`, with different lists
of views. An object whose folder is complete is not sampled again. If there are
several processes, each process samples its own share of the objects on its own
devices, and the processes do not communicate.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import time
from typing import Any
import zlib

from absl import logging
from etils import epath
import jax
from jaxtyping import Float, Key
import numpy as np

from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import EXIT_PREEMPTED, UserError
from threedim_jax.runtime.stop_signal import StopSignal
from threedim_jax.runtime.watchdog import Watchdog
from threedim_jax.sampling.scene import Scene
from threedim_jax.sampling.view_sampler import Sampler, Settings
from threedim_jax.views import metrics
from threedim_jax.views.pixels import to_u8
from threedim_jax.workdir import samples
from threedim_jax.workdir.protocol import Request
from threedim_jax.workdir.same_settings import check_same_settings
from threedim_jax.workdir.samples import ObjectSamples

ReadScene = Callable[[Request], Scene]


def generate(
  sampler: Sampler,
  requests: Sequence[Request],
  read_scene: ReadScene,
  samples_dir: epath.PathLike,
  settings: Settings,
  *,
  batch_size: int,
  overwrite: bool = False,
) -> Iterator[ObjectSamples]:
  """Yields the samples of all requests, and generates those that are missing.

  The generated samples are written to folders, one per object. The folders of a
  batch are written when the batch ends, so an interrupted run loses at most one
  batch.

  Args:
    sampler: trained weights, from `load_sampler`.
    requests: for each object, which views are given and which to generate. All
      objects must have the same number of given views, and the same number of
      views to generate. With several processes, pass `my_share(requests)`.
    read_scene: function that reads the `Scene` of a request.
    samples_dir: the folder that gets one subfolder per object.
    settings: settings of the sampler.
    batch_size: number of objects to sample at a time.
    overwrite: replace samples that were made with other settings or other data,
      instead of raising an error.

  Raises:
    UserError: a folder holds samples that were made with other settings or
      other data. The error comes before any view is sampled.
    SystemExit: with code 75 after SIGTERM.
  """
  facts = sampler.facts() | settings.facts()
  todo = []
  for request in requests:
    scene = read_scene(request)
    if found := find_samples(samples_dir, scene, request, facts, overwrite):
      yield found
    else:
      todo.append(request)
  if not todo:
    return
  batch_size = min(batch_size, len(todo))
  num_targets = len(todo[0].target_views)
  with (
    StopSignal(together=False) as stop,
    Watchdog(epath.Path(samples_dir).parent) as watchdog,
    progress.bar("sample views", len(todo) * num_targets, unit="view") as bar,
  ):
    num_views = 0
    for start in range(0, len(todo), batch_size):
      batch = todo[start : start + batch_size]
      scenes = [read_scene(request) for request in batch]
      # Copies of the last object fill up the last batch, so that one compiled
      # program fits all batches.
      fill = scenes + scenes[-1:] * (batch_size - len(batch))
      sampling = sampler.batch(
        [scene.given for scene in fill],
        [scene.targets for scene in fill],
        object_keys(settings.seed, [scene.given.name for scene in fill]),
        settings,
      )
      if start == 0:
        bar.restart_clock()  # after the compilation
      views, began = [], time.monotonic()
      for view in sampling:
        views.append(view)
        num_views += len(batch)
        watchdog.beat(num_views)
        bar.advance(len(batch))
        _exit_after_sigterm(stop)
      a_view = (time.monotonic() - began) / (num_targets * len(batch))
      info = facts | {"seconds_per_view": a_view}
      for row, scene in enumerate(scenes):
        generated = np.stack([view[row] for view in views])
        sampled = _with_psnr(scene, generated, info)
        samples.write_sample(samples_dir, sampled)
        yield sampled
    _exit_after_sigterm(stop)


def object_keys(seed: int, object_ids: Sequence[str]) -> Key[jax.Array, " B"]:
  """Makes one random key per object.

  The key depends only on the seed and on the object's own id.
  """
  ids = [zlib.crc32(object_id.encode()) for object_id in object_ids]
  fold_in = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
  return fold_in(jax.random.key(seed), np.array(ids, np.uint32))


def my_share(requests: Sequence[Request]) -> Sequence[Request]:
  """Returns the requests that this process samples.

  Every request belongs to exactly one process.
  """
  return requests[jax.process_index() :: jax.process_count()]


def find_samples(
  samples_dir: epath.PathLike,
  scene: Scene,
  request: Request,
  facts: Mapping[str, Any],
  overwrite: bool = False,
) -> ObjectSamples | None:
  """Reads the samples of a request, if their folder is complete.

  Args:
    samples_dir: parent of the folder.
    scene: the requested object, as read from the data set.
    request: which views are given and which to generate.
    facts: the weights and settings of this run, in the form that `input.json`
      in each sample folder has.
    overwrite: if the samples were made with other settings or other data,
      return None instead of raising an error.

  Returns:
    The samples, or None if they are missing, unfinished or damaged.

  Raises:
    UserError: the samples were made with other settings or other data.
  """
  folder = epath.Path(samples_dir) / samples.folder_name(request.object_id)
  if not samples.is_complete(folder):
    return None
  try:
    found = samples.read_sample(folder)
  except UserError as e:
    logging.warning("%s is sampled again: %s", folder, e)
    return None
  try:
    made_with = samples.read_settings(folder)
    check_same_settings(
      folder,
      made_with | _digests(found),
      _settings(request, facts, made_with) | _digests(scene),
    )
  except UserError:
    if overwrite:
      return None
    raise
  return found


def _settings(
  request: Request, facts: Mapping[str, Any], made_with: Mapping[str, Any]
) -> dict[str, Any]:
  # `facts` has "pretrained" only if this run uses bundled weights. Samples that
  # were made with bundled weights must not match a run without them.
  named = {"pretrained": None} if "pretrained" in made_with else {}
  return {
    **named,
    **facts,
    "input_views": list(request.input_views),
    "views": list(request.target_views),
  }


def _digests(scene_or_samples: Scene | ObjectSamples) -> dict[str, str]:
  """Computes checksums of the data that a scene and its samples have in common.

  Returns:
    CRC-32 in hexadecimal, under the keys "given pictures", "cameras" and, if
    the true pictures are known, "true pictures".
  """
  s = scene_or_samples
  cameras = s.targets if isinstance(s, Scene) else s.generated.cameras()
  given_cameras = [s.given.world_from_cam, s.given.K]
  parts = {
    "given pictures": [s.given.images_u8],
    "cameras": [*given_cameras, cameras.world_from_cam, cameras.K],
  }
  if s.truth is not None:
    parts["true pictures"] = [s.truth.images_u8]
  data = {k: b"".join(map(bytes, arrays)) for k, arrays in parts.items()}
  return {name: f"{zlib.crc32(part):08x}" for name, part in data.items()}


def _with_psnr(
  scene: Scene,
  generated: Float[np.ndarray, "N H W 3"],
  info: dict[str, Any],
) -> ObjectSamples:
  """Combines a scene with its generated views, and adds the PSNR of each view.

  The PSNR is computed before the views are rounded to 8 bits. If the scene has
  no true pictures, the PSNR is left out.

  Args:
    scene: the object that was sampled.
    generated: the generated views of the object, in [-1, 1].
    info: facts to store with the samples, beside the PSNR.
  """
  if scene.truth is not None:
    truth = np.float32(scene.truth.images_u8 / 255)
    psnr = metrics.psnr(np.clip((generated + 1) / 2, 0, 1), truth)
    info = info | {"psnr": [round(float(x), 5) for x in psnr]}
  return scene.samples(to_u8(generated), info)


def _exit_after_sigterm(stop: StopSignal) -> None:
  """Exits with code 75 after SIGTERM. Finished sample folders are kept."""
  if stop.poll():
    logging.warning("SIGTERM: run again to sample what is missing.")
    raise SystemExit(EXIT_PREEMPTED)
