# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads and writes the text files of SRN and NSVF: poses and intrinsics.

  world_from_cam = parse_pose(data, "cars_test/abc/pose/000000.txt")
  intrinsics = parse_intrinsics(data, "cars_test/abc/intrinsics.txt")

A pose is a 4x4 camera-to-world matrix in OpenCV axes, written row by row, on
one line or on four lines. Intrinsics are either a 3x3 or 4x4 matrix (NSVF), or
these lines (SRN, and also some NSVF data sets):

  f cx cy 0.
  centre of the scene (ignored)
  scale of the scene (ignored)
  height width      (missing in some NSVF files)
  1                 (optional; says that the poses are world-to-camera)
"""

import codecs
import dataclasses
from typing import Any

import numpy as np

from threedim_jax.runtime.errors import UserError
from threedim_jax.views.posed_views import check_pose


@dataclasses.dataclass
class Intrinsics:
  """The content of an intrinsics.txt file.

  If `poses_are_cam_from_world` is True, the poses in the same folder are
  world-to-camera.
  """

  K: np.ndarray  # float64 [3, 3], pixels
  hw: tuple[int, int] | None  # picture size for K; None if not stated
  poses_are_cam_from_world: bool = False


def parse_pose(data: bytes, source: str) -> np.ndarray:
  """Parses the content of a pose file into a float64 matrix [4, 4].

  Args:
    source: what error messages call the file.

  Raises:
    UserError: the file does not hold the 16 numbers of a rigid transform.
  """
  numbers = [x for line in _numbers(data, source) for x in line]
  if len(numbers) != 16:
    raise UserError(f"{source} holds {len(numbers)} numbers, a pose has 16.")
  return check_pose(np.array(numbers).reshape(4, 4), source)


def pose_from_json(value: Any, source: str) -> np.ndarray:
  """Converts a matrix in nested JSON lists to a float64 pose [4, 4].

  Args:
    value: nested lists of 4x4 numbers, or of 3x4 if the last row is left out.
    source: what error messages call the matrix.

  Raises:
    UserError: the value is not a rigid transform.
  """
  try:
    pose = np.array(value, np.float64)
  except (OverflowError, TypeError, ValueError):
    pose = np.zeros(0)
  if pose.shape == (3, 4):  # instant-ngp leaves out the last row
    pose = np.vstack([pose, [0, 0, 0, 1]])
  if pose.shape != (4, 4):
    raise UserError(f"{source} is no 4x4 matrix.")
  return check_pose(pose, source)


def parse_intrinsics(data: bytes, source: str) -> Intrinsics:
  """Parses the content of an intrinsics.txt file.

  Args:
    source: what error messages call the file.

  Raises:
    UserError: the content has neither the SRN form nor the NSVF form, or
      `check_K` rejects K.
  """
  lines = _numbers(data, source)
  numbers = [x for line in lines for x in line]
  is_square = len(lines) == 1 or {len(line) for line in lines} <= {3, 4}
  if len(numbers) in (9, 16) and is_square:
    side = 3 if len(numbers) == 9 else 4
    K = np.array(numbers).reshape(side, side)[:3, :3]
    return Intrinsics(check_K(K, None, source), None)
  if not lines or len(lines[0]) not in (3, 4):
    raise UserError(
      f"{source} must start with a line 'f cx cy 0.' and end with a line"
      " 'height width', or hold a 3x3 or 4x4 matrix."
    )
  f, cx, cy = lines[0][:3]
  K = np.array([[f, 0, cx], [0, f, cy], [0, 0, 1]])
  hw, flag = None, False
  for i, line in enumerate(lines[1:], 1):
    if len(line) == 2:
      hw = int(line[0]), int(line[1])
      flag = any(x for rest in lines[i + 1 :] for x in rest)
  return Intrinsics(check_K(K, hw, source), hw, flag)


def check_K(
  K: np.ndarray, hw: tuple[int, int] | None, source: str
) -> np.ndarray:
  """Checks that intrinsics K are plausible for the pictures, and returns K.

  Args:
    K: intrinsics [3, 3], in pixels.
    hw: height and width of the pictures, in pixels. None checks only that K has
      the form of an intrinsic matrix.
    source: what error messages call the file that holds K.

  Raises:
    UserError: K is not an intrinsic matrix, or its focal length or principal
      point does not suit the picture size.
  """
  if not np.isfinite(K).all():
    raise UserError(f"{source} holds a number that is not finite.")
  fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
  if min(fx, fy) <= 0 or K[1, 0] != 0 or K[2].tolist() != [0, 0, 1]:
    raise UserError(
      f"{source} holds no intrinsic matrix f 0 cx, 0 f cy, 0 0 1 with f > 0,"
      f" but {K.tolist()}."
    )
  if hw is None:
    return K
  h, w = hw
  if min(h, w) < 1 or not all(0.2 < f / max(h, w) < 20 for f in (fx, fy)):
    raise UserError(
      f"{source}: a focal length of {fx:g} pixels does not fit a picture of"
      f" {h} x {w} pixels."
    )
  if not (0 < cx < w and 0 < cy < h):
    raise UserError(
      f"{source}: the principal point ({cx:g}, {cy:g}) lies outside the"
      f" picture of {h} x {w} pixels."
    )
  return K


def format_pose(world_from_cam: np.ndarray) -> str:
  """Formats a pose as one line of text.

  Each number has 9 significant digits, which restore a float32 exactly.
  """
  return " ".join(f"{x:.9g}" for x in world_from_cam.ravel()) + "\n"


def format_intrinsics(K: np.ndarray, hw: tuple[int, int]) -> str:
  """Formats intrinsics as the content of an intrinsics.txt file in SRN form.

  Args:
    K: intrinsics [3, 3], in pixels.
    hw: height and width of the pictures, in pixels.

  Raises:
    UserError: fx and fy differ or there is a skew, which the SRN form cannot
      express.
  """
  if K[0, 1] != 0:
    raise UserError(
      "the SRN layout has no skew, these cameras have one of"
      f" {K[0, 1]:g} pixels."
    )
  if K[0, 0] != K[1, 1]:
    raise UserError(
      "the SRN layout has one focal length for both axes, these cameras have"
      f" {K[0, 0]:g} and {K[1, 1]:g}."
    )
  f, cx, cy = (f"{x:.9g}" for x in (K[0, 0], K[0, 2], K[1, 2]))
  return f"{f} {cx} {cy} 0.\n0. 0. 0.\n1.\n{hw[0]} {hw[1]}\n"


def _numbers(data: bytes, source: str) -> list[list[float]]:
  """Returns the numbers on each line of a text file; skips empty lines.

  Raises:
    UserError: the text holds anything but finite numbers.
  """
  is_utf16 = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
  try:
    text = data.decode("utf-16" if is_utf16 else "utf-8-sig")
    lines = [line.split() for line in text.splitlines()]
    numbers = [[float(x) for x in line] for line in lines if line]
  except ValueError as e:
    raise UserError(f"{source} is not a text file of numbers ({e}).") from e
  if not all(np.isfinite(x) for line in numbers for x in line):
    raise UserError(f"{source} holds a number that is not finite.")
  return numbers
