# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds and reads the views whose 3D consistency is to be scored.

  source = samples_source("W/samples", num_views=100)  # W is the workdir
  generated, *truth = source["chair_7"].load()

A source maps each object's id to an `Origin`, the place that the object's views
are read from. For samples, `load` returns the generated views and, if they are
known, the true views.
"""

from collections.abc import Callable
import dataclasses
import functools
import hashlib

from etils import epath

from threedim_jax.inputs.posed_images import read_posed_images
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir import samples
from threedim_jax.workdir.evaluation_files import list_finished
from threedim_jax.workdir.protocol import spread


@dataclasses.dataclass(frozen=True)
class ScoredViews:
  """Views of one object that are scored together.

  Attributes:
    row: name of these views in the score table, such as "generated".
    views: the views to score.
    given: the (input) views that the model was given; None if they are unknown.
  """

  row: str
  views: PosedViews
  given: PosedViews | None = None

  def sha256(self) -> str:
    """Returns a SHA-256 of all pictures and cameras, and of the name `row`."""
    given, views = self.given, self.views
    start = self.row
    if given:
      start = views_sha256(given, f"input{given.images_u8.shape}") + start
    return views_sha256(views, f"{start}{views.images_u8.shape}")


def views_sha256(views: PosedViews, start: str = "") -> str:
  """Returns a SHA-256 of `start` and of the views' pictures and cameras."""
  digest = hashlib.sha256(start.encode())
  for array in (views.images_u8, views.world_from_cam, views.K):
    digest.update(array.tobytes())
  return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Origin:
  """The place that the views of one object are read from.

  Attributes:
    folder: folder of the object.
    load: function that reads the object's sets of views, such as generated and
      true views.
  """

  folder: epath.Path
  load: Callable[[], list[ScoredViews]]


Source = dict[str, Origin]  # by object id


def samples_source(samples_dir: epath.PathLike, num_views: int) -> Source:
  """Finds the objects in a folder of samples, and skips unfinished objects.

  An object's views are the generated views and, if they are known, the true
  views. If --mode=evaluate wrote the samples, only the objects in
  evaluation.json are used.

  Args:
    samples_dir: folder that holds the objects' folders.
    num_views: use at most this many views per object, evenly spaced.

  Raises:
    UserError: no object is finished, or evaluation.json is damaged.
  """
  folders = list_finished(samples_dir)
  if not folders:
    near = samples.near_complete(samples_dir)
    if near and near[0].parent != epath.Path(samples_dir):
      raise UserError(
        f"{samples_dir} is not the folder that holds the objects' folders: name"
        f" {near[0].parent}"
      )
    raise UserError(
      f"{samples_dir} holds no finished folder of samples"
      f" (<object>/{samples.INFO_FILE} and pictures): make some with"
      " --mode=sample or --mode=evaluate, or name a folder of posed pictures"
      " by --views=DIR"
    )
  return {
    folder.name: Origin(
      folder, functools.partial(_of_sample, folder, num_views)
    )
    for folder in folders
  }


def _of_sample(folder: epath.Path, num_views: int) -> list[ScoredViews]:
  sampled = samples.read_sample(folder)
  rows = {"generated": sampled.generated, "ground truth": sampled.truth}
  chosen = spread(range(len(sampled.generated)), num_views)
  return [
    ScoredViews(row, views[chosen], sampled.given)
    for row, views in rows.items()
    if views is not None
  ]


def posed_source(
  folder: epath.PathLike, *, size: int | None, num_views: int
) -> Source:
  """Finds one object, whose views are pictures with cameras in a folder.

  The folder's format is NSVF, SRN or transforms.json.

  Args:
    folder: folder with the pictures and cameras of the object.
    size: height and width to resize the pictures to. None: no resizing.
    num_views: use at most this many views, evenly spaced.
  """
  folder = epath.Path(folder)

  def load() -> list[ScoredViews]:
    posed = read_posed_images(folder, size=size, num_views=num_views)
    return [ScoredViews("views", posed)]

  name = samples.folder_name(folder.absolute().name)
  return {name: Origin(folder, load)}
