# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Removes lens distortion from a picture, using OpenCV's lens models.

rgb, K = undistort(rgb, K, distortion, "transforms.json: frame 0")
"""

import dataclasses
import math

import cv2
from jaxtyping import Float, Float32
import numpy as np

from threedim_jax.runtime.errors import UserError

_MAX_RADIUS = math.tan(math.radians(60))  # on the plane at depth 1
_LEAST_VALID = 0.25  # least share of valid pixels in an undistorted picture


@dataclasses.dataclass(frozen=True)
class Distortion:
  """The distortion coefficients of a lens, in OpenCV's order.

  A fisheye lens has k1 k2 k3 k4; any other lens has k1 k2 p1 p2 k3 k4 k5 k6.
  """

  coefficients: tuple[float, ...]
  is_fisheye: bool


def undistort(
  rgb: Float32[np.ndarray, "H W 3"],
  K: Float[np.ndarray, "3 3"],
  distortion: Distortion,
  where: str,
) -> tuple[Float32[np.ndarray, "H W 3"], Float[np.ndarray, "3 3"]]:
  """Returns the picture that a pinhole camera would have taken, and its K.

  Picture size and principal point stay the same. The focal length is reduced
  until the result shows the whole distorted picture. A pixel of the result
  becomes white if
  - it has no counterpart in the distorted picture,
  - it is more than 60 degrees off the optical axis, or
  - the lens model has no inverse there: the distorted radius stops growing.

  Args:
    rgb: sRGB levels, from 0 to 255, of the distorted picture.
    K: intrinsics, in pixels of `rgb`.
    where: what error messages call the picture.

  Raises:
    UserError: more than three quarters of the result would be white.
  """
  h, w = rgb.shape[:2]
  scale = _scale_that_keeps_all(K, distortion, (h, w))
  new_K = K * np.array([[scale, 1, 1], [1, scale, 1], [1, 1, 1]])
  y, x = np.indices((h, w), np.float64) + 0.5
  plane = _plane_from_px(np.stack([x.ravel(), y.ravel()], -1), new_K)
  source = _distorted_px(plane, K, distortion)
  radius = np.linalg.norm(plane, axis=1)
  is_inside = ((source > 0) & (source < [w, h])).all(1)
  valid = (radius <= _radial_curve(distortion)[0][-1]) & is_inside
  if valid.mean() < _LEAST_VALID:
    raise UserError(
      f"{where}: undistorted, only {valid.mean():.0%} of the picture would"
      " show something. Check the distortion coefficients."
    )
  source[~valid] = -9
  # OpenCV puts the origin at the centre of the first pixel, K at its corner.
  at = np.float32(source - 0.5).reshape(h, w, 2)
  out = cv2.remap(
    rgb, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
  ).clip(0, 255)
  out[~valid.reshape(h, w)] = 255
  return out, new_K


def largest_shift(
  distortion: Distortion,
  K: Float[np.ndarray, "3 3"],
  hw: tuple[float | int, float | int],
) -> float:
  """Returns how far the lens shifts any border pixel at most, in pixels.

  Shifts along x and along y count as separate shifts.
  """
  border = _border(hw)
  moved = _distorted_px(_plane_from_px(border, K), K, distortion)
  return float(np.abs(moved - border).max())


def _border(hw: tuple[float | int, float | int]) -> Float[np.ndarray, "N 2"]:
  """Returns pixel positions along the four sides of a picture."""
  h, w = hw
  t = np.linspace(0, 1, 65)
  zero, one = np.zeros_like(t), np.ones_like(t)
  sides = ((t, zero), (t, one), (zero, t), (one, t))
  return np.concatenate([np.stack([x * w, y * h], -1) for x, y in sides])


def _plane_from_px(
  px: Float[np.ndarray, "N 2"], K: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "N 2"]:
  """Maps pixel positions of a pinhole camera to points (x, y) at depth 1."""
  return (px - K[:2, 2]) / K[[0, 1], [0, 1]]


def _distorted_px(
  plane: Float[np.ndarray, "N 2"], K: Float[np.ndarray, "3 3"], lens: Distortion
) -> Float[np.ndarray, "N 2"]:
  """Maps points (x, y) at depth 1 to pixel positions in a distorted picture."""
  points = np.column_stack([plane, np.ones(len(plane))])[:, None]
  zero = np.zeros(3)
  project = cv2.fisheye.projectPoints if lens.is_fisheye else cv2.projectPoints
  with np.errstate(all="ignore"):
    found, _ = project(points, zero, zero, K, np.array(lens.coefficients))
  return np.nan_to_num(found[:, 0], nan=-1e6, posinf=1e6, neginf=-1e6)


def _radial_curve(lens: Distortion) -> tuple[np.ndarray, np.ndarray]:
  """Samples how the lens changes a point's distance from the optical axis.

  The samples end at 60 degrees off the optical axis, or earlier if the
  distorted distance stops increasing.

  Returns:
    (true distances, distorted distances), both increasing and measured on the
    plane at depth 1.
  """
  r = np.linspace(0, _MAX_RADIUS, 2000)
  if lens.is_fisheye:
    theta = np.arctan(r)
    r_lens = theta * np.polyval([*lens.coefficients[::-1], 1.0], theta**2)
  else:
    k1, k2, _, _, k3, k4, k5, k6 = lens.coefficients
    with np.errstate(all="ignore"):
      numerator = np.polyval([k3, k2, k1, 1.0], r**2)
      r_lens = r * numerator / np.polyval([k6, k5, k4, 1.0], r**2)
  increases = np.diff(r_lens) > 0
  end = len(r) if increases.all() else int(np.argmin(increases)) + 1
  return r[:end], r_lens[:end]


def _scale_that_keeps_all(
  K: Float[np.ndarray, "3 3"], lens: Distortion, hw: tuple[int, int]
) -> float:
  """Returns a factor for the focal length that keeps the whole picture visible.

  The undistorted picture's focal length is K's focal length times this factor,
  which is at most 1.
  """
  plane = _plane_from_px(_border(hw), K)
  radius = np.linalg.norm(plane, axis=1)
  pinhole, of_lens = _radial_curve(lens)
  plane *= (np.interp(radius, of_lens, pinhole) / radius.clip(1e-9))[:, None]
  offset = plane * K[[0, 1], [0, 1]]
  room = np.where(offset > 0, np.array(hw[::-1]) - K[:2, 2], K[:2, 2])
  return float(min(1.0, (room / np.abs(offset).clip(1e-9)).min()))
