# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the views of each object whose 3D consistency is to be scored.

for object_id, origin in samples_source("W/samples", num_views=100).items():
  generated, *truth = origin.load()
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
  """Views of one object, and the name of their row in the table of scores.

  `given` holds the input views, or None if they are unknown.
  """

  row: str
  views: PosedViews
  given: PosedViews | None = None

  def sha256(self) -> str:
    """Returns a digest of the row's name, the pictures and the cameras."""
    given, views = self.given, self.views
    start = self.row
    if given:
      start = views_sha256(given, f"input{given.images_u8.shape}") + start
    return views_sha256(views, f"{start}{views.images_u8.shape}")


def views_sha256(views: PosedViews, start: str = "") -> str:
  """Returns the SHA-256 of `start`, the pictures and the cameras."""
  digest = hashlib.sha256(start.encode())
  for array in (views.images_u8, views.world_from_cam, views.K):
    digest.update(array.tobytes())
  return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Origin:
  """The folder of an object, and the function that reads its views."""

  folder: epath.Path
  load: Callable[[], list[ScoredViews]]


Source = dict[str, Origin]  # by object id


def samples_source(samples_dir: epath.PathLike, num_views: int) -> Source:
  """Finds finished folders with generated views and perhaps true views.

  If --mode=evaluate wrote them, only those that evaluation.json lists are used.

  Args:
    samples_dir: folder of the objects' folders.
    num_views: uses at most this many views of an object, evenly spread.

  Raises:
    UserError: there is no finished folder.
  """
  folders = list_finished(samples_dir)
  if not folders:
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
  """Returns a source of one folder of posed pictures.

  The folder's format is NSVF, SRN or transforms.json. `size` is the height and
  width to read pictures at; None: as they are.
  """
  folder = epath.Path(folder)

  def load() -> list[ScoredViews]:
    posed = read_posed_images(folder, size=size, num_views=num_views)
    return [ScoredViews("views", posed)]

  name = samples.folder_name(folder.absolute().name)
  return {name: Origin(folder, load)}
