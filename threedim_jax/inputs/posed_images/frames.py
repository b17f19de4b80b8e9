# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Describes a view whose picture is not decoded yet, and fits K to its size.

K, warning = fit_K(frame, hw=(800, 800))
"""

import dataclasses
import re

from etils import epath
from jaxtyping import Float
import numpy as np

from threedim_jax.inputs.posed_images.lens import SAME_SCALE, implied_hw
from threedim_jax.inputs.posed_images.text_files import check_K
from threedim_jax.inputs.posed_images.undistort import Distortion
from threedim_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True)
class Frame:
  """A picture file and its camera.

  Attributes:
    name: of the view; views are sorted by it.
    path: of the picture.
    world_from_cam: pose in OpenCV axes.
    K: intrinsics, in pixels of a picture of size `hw`.
    hw: height and width that K is for; None if the files do not say it.
    source: the file that K comes from, for messages.
    distortion: of the lens; None for a pinhole camera.
    mask: a picture that is black where the object is not; None without one.
  """

  name: str
  path: epath.Path
  world_from_cam: Float[np.ndarray, "4 4"]
  K: Float[np.ndarray, "3 3"]
  hw: tuple[float | int, float | int] | None
  source: str
  distortion: Distortion | None = None
  mask: epath.Path | None = None


def natural_key(name: str) -> list[tuple[int, str]]:
  """Returns a sort key that puts r_2 before r_10."""
  parts = re.split(r"([0-9]+)", name)
  return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts]


def fit_K(
  frame: Frame, hw: tuple[int, int]
) -> tuple[Float[np.ndarray, "3 3"], str]:
  """Returns K for a picture of `hw` pixels, and a warning ("" if none).

  If K is for another size of the same picture, it is scaled, and the warning
  says so. If the files do not say which size K is for, its principal point
  tells the size.

  Raises:
    UserError: K fits neither the picture nor a resized one.
  """
  K_hw = frame.hw or implied_hw(frame.K, hw)
  where = f"{frame.source} (for {frame.path.name})"
  if tuple(K_hw) == tuple(hw):
    return check_K(frame.K, hw, where), ""
  scale = np.divide(hw, K_hw)
  sizes = (
    f"for pictures of {K_hw[0]:g} x {K_hw[1]:g} pixels, but the pictures have"
    f" {hw[0]} x {hw[1]}"
  )
  if abs(scale[0] / scale[1] - 1) > SAME_SCALE:
    raise UserError(
      f"{where} is {sizes}: this is not the same picture in two sizes. Put"
      " the intrinsics of the pictures there."
    )
  K = frame.K.copy()
  K[:2] *= scale[::-1, None]
  return check_K(K, hw, where), f"{frame.source} is {sizes}; K was scaled."
