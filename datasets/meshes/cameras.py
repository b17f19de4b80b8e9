# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the cameras of `--cameras` from a JSON file.

  {"world_from_cam": [[[...], [...], [...], [0, 0, 0, 1]], ...], "fov_deg": 50}

Poses are camera-to-world, 4x4, in OpenCV axes (x right, y down, z forward). The
file may also hold `K` (3x3, in pixels of the pictures that are built) or
`fov_deg` (degrees between two opposite sides of the picture). Without either,
the intrinsics are those of the SRN camera.
"""

import json
import pathlib

import numpy as np

from threedim_jax.inputs.posed_images.text_files import check_K
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths
from threedim_jax.views.posed_views import check_pose

_KEYS = ("world_from_cam", "K", "fov_deg")
_LEAST_VIEWS = 2


def read_cameras(
  file: pathlib.Path, resolution: int
) -> tuple[np.ndarray, np.ndarray]:
  """Reads world_from_cam [N, 4, 4] and K [3, 3] in pixels, float64.

  Args:
    file: in the format above.
    resolution: height and width of the pictures.

  Raises:
    UserError: the file has another format, or a camera is impossible.
  """
  try:
    content = json.loads(file.read_bytes())
  except (OSError, ValueError, RecursionError) as e:
    raise UserError(f"{file} cannot be read as JSON ({e}).") from e
  if not isinstance(content, dict) or "world_from_cam" not in content:
    raise UserError(
      f"{file} has no list 'world_from_cam' of 4x4 camera poses: write it as"
      ' {"world_from_cam": [[[...], ...], ...], "fov_deg": 50}.'
    )
  if unknown := sorted(set(content) - set(_KEYS)):
    raise UserError(
      f"{file} has the unknown key {unknown[0]!r}; it may have"
      f" {', '.join(_KEYS)}."
    )
  if "K" in content and "fov_deg" in content:
    raise UserError(f"{file} has both K and fov_deg: take one of them out.")
  poses = _array(file, "world_from_cam", content["world_from_cam"], (4, 4))
  for i, pose in enumerate(poses):
    check_pose(pose, f"{file}: world_from_cam {i}")
  if len(poses) < _LEAST_VIEWS:
    raise UserError(
      f"{file} has {len(poses)} camera(s), an object needs at least two views."
    )
  return poses, _K(file, content, resolution)


def _K(file: pathlib.Path, content: dict, resolution: int) -> np.ndarray:
  hw = (resolution, resolution)
  if "K" in content:
    (K,) = _array(file, "K", [content["K"]], (3, 3))
    return check_K(K, hw, f"{file}: K")
  K = camera_paths.default_K(resolution)
  if "fov_deg" in content:
    fov_deg = content["fov_deg"]
    if not (isinstance(fov_deg, (int, float)) and 0 < fov_deg < 180):
      raise UserError(
        f"{file}: fov_deg is {fov_deg!r}, it must be a number of degrees"
        " between 0 and 180."
      )
    K = camera_paths.K_from_fov(resolution, fov_deg)
    check_K(K, hw, f"{file}: fov_deg {fov_deg:g}")
  return K


def _array(file: pathlib.Path, key: str, value, shape) -> np.ndarray:
  """Converts `value` to float64 [N, *shape]; UserError if it does not fit."""
  try:
    array = np.array(value, np.float64)
  except (OverflowError, TypeError, ValueError):
    array = np.zeros(())
  if array.ndim != 3 or array.shape[1:] != shape:
    raise UserError(
      f"{file}: {key} does not hold {shape[0]}x{shape[1]} matrices of numbers."
    )
  return array
