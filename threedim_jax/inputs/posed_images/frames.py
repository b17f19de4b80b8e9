# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""One view of a folder, before its picture is decoded.

K, warning = fit_K(frame, hw=(800, 800))
"""

import dataclasses
import re

from etils import epath
from jaxtyping import Float
import numpy as np

from threedim_jax.inputs.posed_images.text_files import check_K
from threedim_jax.runtime.errors import UserError

# A principal point so far from the centre means another picture size, if it is
# so in both directions alike: lenses are off by a few per cent.
_FAR_OFF_CENTRE = 0.2
_SAME_SCALE = 0.02


@dataclasses.dataclass(frozen=True)
class Frame:
  """A picture's file and camera: OpenCV axes, K in pixels.

  `hw` is the picture size that K is for, None where the files do not say;
  `source` is the file that K comes from, for messages.
  """

  name: str
  path: epath.Path
  world_from_cam: Float[np.ndarray, "4 4"]
  K: Float[np.ndarray, "3 3"]
  hw: tuple[int, int] | None
  source: str


def natural_key(name: str) -> list[tuple[int, str]]:
  """Sorts r_2 before r_10."""
  parts = re.split(r"(\d+)", name)
  return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts]


def fit_K(
  frame: Frame, hw: tuple[int, int]
) -> tuple[Float[np.ndarray, "3 3"], str]:
  """K for the frame's picture of `hw` pixels, and a warning ("" if none).

  Intrinsics of another size of the same picture are scaled. Where no size is
  stated, a principal point in the centre of another size gives it away.

  Raises:
    UserError: K fits neither the picture nor a resized one.
  """
  K_hw = frame.hw or _implied_hw(frame.K, hw) or hw
  where = f"{frame.source} (for {frame.path.name})"
  if tuple(K_hw) == tuple(hw):
    return check_K(frame.K, hw, where), ""
  scale = np.divide(hw, K_hw)
  sizes = (
    f"for pictures of {K_hw[0]} x {K_hw[1]} pixels, but the pictures have"
    f" {hw[0]} x {hw[1]}"
  )
  if abs(scale[0] / scale[1] - 1) > _SAME_SCALE:
    raise UserError(
      f"{where} is {sizes}: this is not the same picture in two sizes. Put"
      " the intrinsics of the pictures there."
    )
  K = frame.K.copy()
  K[:2] *= scale[::-1, None]
  return check_K(K, hw, where), f"{frame.source} is {sizes}; K was scaled."


def _implied_hw(
  K: Float[np.ndarray, "3 3"], hw: tuple[int, int]
) -> tuple[int, int] | None:
  """The picture size that K is for, if it is clearly another one than `hw`."""
  times = 2 * K[[1, 0], 2] / hw
  alike = times.min() > 0 and abs(times[0] / times[1] - 1) < _SAME_SCALE
  if not alike or abs(times.mean() - 1) < _FAR_OFF_CENTRE:
    return None
  return tuple((2 * K[[1, 0], 2]).round().astype(int).tolist())
