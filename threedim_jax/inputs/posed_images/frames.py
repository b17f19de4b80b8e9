# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Defines `Frame`: a picture file, not decoded yet, and its camera.

K, warning = fit_K(frame, hw=(800, 800))  # intrinsics for the decoded picture
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
  """A picture file and its camera; the picture is not decoded yet.

  Attributes:
    name: name of the view; views are sorted by name.
    path: path of the picture file.
    world_from_cam: camera-to-world pose in OpenCV axes.
    K: intrinsics, in pixels of a picture of size `hw`.
    hw: (height, width) in pixels of the pictures for which K was written; None
      if no file states this size.
    source: path of the file that holds K, for messages to the user.
    distortion: distortion of the lens; None for a pinhole camera.
    mask: path of the view's mask, a picture that is black outside the object;
      None if the view has no mask.
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
  """Returns a sort key for the natural order, which puts r_2 before r_10."""
  parts = re.split(r"([0-9]+)", name)
  return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts]


def fit_K(
  frame: Frame, hw: tuple[int, int]
) -> tuple[Float[np.ndarray, "3 3"], str]:
  """Returns a frame's intrinsics K for the actual size of its picture.

  If the frame's K was written for a smaller or larger version of the picture, K
  is scaled. If no file states the size of that version, `implied_hw` infers the
  size from the principal point.

  Args:
    hw: height and width of the decoded picture, in pixels.

  Returns:
    (K, warning). The warning says that K was scaled; otherwise it is empty.

  Raises:
    UserError: K is for a picture with another aspect ratio, or `check_K`
      rejects K.
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
