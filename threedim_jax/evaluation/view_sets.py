# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a field is fitted to: the views of one object, of one origin.

for object_id, origin in samples_source("W/samples", num_views=100).items():
  generated, *truth = origin.load()
"""

from collections.abc import Callable
import dataclasses
import functools
import hashlib

from etils import epath
from jaxtyping import Float32, UInt8
import numpy as np

from threedim_jax.inputs.posed_images import read_posed_images
from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir import samples
from threedim_jax.workdir.evaluation_files import list_finished
from threedim_jax.workdir.protocol import spread


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewSet:
  """Posed views under the name of the row that they are scored in.

  Cameras are OpenCV, K in pixels; `given` is the input view, where known.
  """

  row: str
  images_u8: UInt8[np.ndarray, "V H W 3"]
  world_from_cam: Float32[np.ndarray, "V 4 4"]
  K: Float32[np.ndarray, "V 3 3"]
  given: "ViewSet | None" = None

  def __getitem__(self, views) -> "ViewSet":
    """The chosen views."""
    return dataclasses.replace(
      self,
      images_u8=self.images_u8[views],
      world_from_cam=self.world_from_cam[views],
      K=self.K[views],
    )

  def poses(self, views, with_given: bool) -> tuple[np.ndarray, np.ndarray]:
    """world_from_cam and K of some views, and of the given one after them."""
    sets = [self[views], self.given[:1]] if with_given else [self[views]]
    return (
      np.concatenate([s.world_from_cam for s in sets]),
      np.concatenate([s.K for s in sets]),
    )

  def sha256(self) -> str:
    """Of everything that a score depends on."""
    arrays = (self.images_u8, self.world_from_cam, self.K)
    given = self.given.sha256() if self.given else ""
    text = given + self.row + str(self.images_u8.shape)
    return hashlib.sha256(
      text.encode() + b"".join(a.tobytes() for a in arrays)
    ).hexdigest()


@dataclasses.dataclass(frozen=True)
class Origin:
  """Where the pictures of an object lie, and how its views are read."""

  folder: epath.Path
  load: Callable[[], list[ViewSet]]


Source = dict[str, Origin]  # by object id


def samples_source(samples_dir: epath.PathLike, num_views: int) -> Source:
  """Every finished folder: its generated and, where known, its true views.

  Where an evaluation left them, only the folders that it lists.

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


def _of_sample(folder: epath.Path, num_views: int) -> list[ViewSet]:
  sampled = samples.read_sample(folder)
  cameras = {"world_from_cam": sampled.world_from_cam, "K": sampled.K}
  given = ViewSet(
    row="input",
    images_u8=sampled.input_images_u8,
    world_from_cam=sampled.input_world_from_cam,
    K=sampled.input_K,
  )
  rows = {"generated": sampled.images_u8, "ground truth": sampled.truth_u8}
  chosen = np.array(spread(range(len(sampled.images_u8)), num_views))
  return [
    ViewSet(row=row, images_u8=images, given=given, **cameras)[chosen]
    for row, images in rows.items()
    if images is not None
  ]


def posed_source(
  folder: epath.PathLike, *, size: int | None, num_views: int
) -> Source:
  """One folder of posed pictures (NSVF, SRN or transforms.json)."""
  folder = epath.Path(folder)

  def load() -> list[ViewSet]:
    posed = read_posed_images(folder, size=size, num_views=num_views)
    return [
      ViewSet(
        row="views",
        images_u8=posed.images_u8,
        world_from_cam=posed.world_from_cam,
        K=posed.K,
      )
    ]

  name = samples.folder_name(folder.absolute().name)
  return {name: Origin(folder, load)}
