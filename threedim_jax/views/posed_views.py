# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Defines `PosedViews`: pictures of one object together with their cameras.

  views = PosedViews(images_u8, world_from_cam, K)
  views[[0, 5]].cameras()  # the cameras of views 0 and 5

The whole package passes views around in this one type: the readers of folders
and data sets return it, the sampler takes and returns it, and viewers, metrics
and file writers take it. This module uses NumPy only, because the workers that
build data sets must not import JAX.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

from jaxtyping import Float, Int, UInt8
import numpy as np

from threedim_jax.runtime.errors import UserError

# A pose may differ from a rigid transform by this much. Rounding in text files
# causes far smaller differences.
RIGID_TOLERANCE = 1e-3


def check_pose(
  world_from_cam: Float[np.ndarray, "4 4"], source: str
) -> Float[np.ndarray, "4 4"]:
  """Checks that a camera-to-world pose is a finite rigid transform; returns it.

  Args:
    source: what the error message calls the pose, such as "a/pose/000.txt".

  Raises:
    UserError: the pose is not finite, or is not a rotation and a translation.
  """
  if not np.isfinite(world_from_cam).all():
    raise UserError(f"{source} holds a number that is not finite.")
  R, last_row, problem = world_from_cam[:3, :3], world_from_cam[3], None
  error = np.abs(R.T @ R - np.eye(3)).max()
  if np.abs(last_row - [0, 0, 0, 1]).max() > RIGID_TOLERANCE:
    problem = f"its last row is {last_row.tolist()}, not 0 0 0 1"
  elif error > RIGID_TOLERANCE:
    problem = (
      f"it has no rotation (off by {error:.2g}): divide scale and shear out"
    )
  elif np.linalg.det(R) < 0:
    problem = "it is mirrored (determinant -1): negate one axis of the camera"
  if problem:
    raise UserError(f"{source} is not a rigid transform: {problem}.")
  return world_from_cam


@dataclasses.dataclass(frozen=True)
class PosedViews:
  """N pictures of one object and their cameras.

  Attributes:
    images_u8: RGB pictures, with white in place of a transparent background.
    world_from_cam: camera-to-world poses, rigid transforms with OpenCV axes (x
      right, y down, z forward); kept as float32.
    K: intrinsic matrices in pixels, pixel centres at +0.5; kept as float32.
    index: number of each view in its data set, int32; -1 for a view without a
      number. None sets all numbers to -1.
    name: name of the object, usually its id. Error messages, sample folders and
      random keys use this name.
    checked: whether to check that the cameras are valid. Only
      `--mode=check_data` sets this to False, because that mode reports invalid
      cameras itself.

  Raises:
    UserError: an array has the wrong shape, a pose is not rigid, or a focal
      length is not positive.
  """

  images_u8: UInt8[np.ndarray, "N H W 3"]
  world_from_cam: Float[np.ndarray, "N 4 4"]
  K: Float[np.ndarray, "N 3 3"]
  index: Int[np.ndarray, " N"] | None = None
  name: str = "the object"
  checked: bool = True

  def __post_init__(self):
    num_views = len(self.images_u8)
    index = np.full(num_views, -1) if self.index is None else self.index
    for name, array, dtype in (
      ("world_from_cam", self.world_from_cam, np.float32),
      ("K", self.K, np.float32),
      ("index", index, np.int32),
    ):  # the only way to set a field of a frozen dataclass
      object.__setattr__(self, name, np.asarray(array, dtype))
    shapes = {
      "images_u8": (num_views, *self.images_u8.shape[1:3], 3),
      "world_from_cam": (num_views, 4, 4),
      "K": (num_views, 3, 3),
      "index": (num_views,),
    }
    for field, shape in shapes.items():
      if getattr(self, field).shape != shape:
        raise UserError(
          f"{self.name}: {field} has the shape {getattr(self, field).shape},"
          f" not {shape}, for {num_views} pictures."
        )
    if self.checked:
      self._check_cameras()

  def _check_cameras(self) -> None:
    for i, (pose, K) in enumerate(
      zip(self.world_from_cam, self.K, strict=True)
    ):
      where = f"{self.name}, view {i}"
      check_pose(np.float64(pose), f"world_from_cam of {where}")
      if not np.isfinite(K).all() or min(K[0, 0], K[1, 1]) <= 0:
        raise UserError(
          f"K of {where} needs positive focal lengths in pixels; it is"
          f" {K.tolist()}."
        )

  def __len__(self) -> int:
    return len(self.images_u8)

  def __getitem__(self, views: slice | Sequence[int] | Any) -> "PosedViews":
    """Selects views by a slice or by a list of positions.

    For example, `views[[3]]` holds only the view at position 3.
    """
    views = views if isinstance(views, slice) else np.asarray(views, np.int64)
    return dataclasses.replace(
      self,
      images_u8=self.images_u8[views],
      world_from_cam=self.world_from_cam[views],
      K=self.K[views],
      index=self.index[views],
    )

  def __add__(self, other: "PosedViews") -> "PosedViews":
    """Appends the views of `other`; the result has the name of `self`."""
    fields = ("images_u8", "world_from_cam", "K", "index")
    both = {f: [getattr(v, f) for v in (self, other)] for f in fields}
    return dataclasses.replace(
      self, **{field: np.concatenate(pair) for field, pair in both.items()}
    )

  @property
  def hw(self) -> tuple[int, int]:
    """Height and width of the pictures, in pixels."""
    return self.images_u8.shape[1:3]

  def with_images(
    self, images_u8: UInt8[np.ndarray, "N H W 3"]
  ) -> "PosedViews":
    """Returns a copy with the same cameras but other pictures."""
    return dataclasses.replace(self, images_u8=images_u8)

  def cameras(self):
    """Returns the cameras as a `views.cameras.Camera` with the batch axis N."""
    from threedim_jax.views.cameras import Camera

    return Camera(self.world_from_cam, self.K)
