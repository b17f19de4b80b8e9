# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""transforms.json of nerfstudio, instant-ngp and Blender's synthetic scenes.

  frames = list_frames(epath.Path("scene"))

Intrinsics are fl_x, fl_y, cx, cy, w, h, or camera_angle_x (radians); what a
frame says goes before what the file says. `transform_matrix` is
camera-to-world with OpenGL axes (y up, z backward), turned to OpenCV here.
Lenses with distortion are refused: our rays go through a pinhole. The file is
text from elsewhere, so a path in it may not lead out of the folder.
"""

import json
import math
import os
import pathlib
from typing import Any

from etils import epath
import numpy as np

from threedim_jax.inputs.posed_images.frames import Frame, natural_key
from threedim_jax.inputs.posed_images.pictures import read_hw
from threedim_jax.inputs.posed_images.pose_folder import PICTURE_SUFFIXES
from threedim_jax.inputs.posed_images.text_files import pose_from_json
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.camera_paths import FLIP_GL_CV

FILES = tuple(f"transforms{s}.json" for s in ("", "_train", "_val", "_test"))
_DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
_PINHOLES = ("", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "OPENCV")


def find(folder: epath.Path) -> list[epath.Path]:
  """The files that are there; the first one is read."""
  return [folder / name for name in FILES if (folder / name).is_file()]


def list_frames(folder: epath.Path) -> list[Frame]:
  """The views by name; a UserError names the frame that is wrong.

  Says which file is read where there are several.
  """
  source, *others = find(folder)
  if others:
    print(f"{folder}: reads {source.name}, not {[p.name for p in others]}")
  try:
    content = json.loads(source.read_text())
  except (ValueError, RecursionError) as e:
    raise UserError(f"{source} is not valid JSON ({e}).") from e
  entries = content.get("frames") if isinstance(content, dict) else None
  if not isinstance(entries, list) or not entries:
    raise UserError(f'{source} has no list "frames" with at least one view.')
  frames = [
    _frame(folder, content, entry, str(source), i)
    for i, entry in enumerate(entries)
  ]
  return sorted(frames, key=lambda frame: natural_key(frame.name))


def _frame(
  folder: epath.Path, content: dict[str, Any], entry: Any, source: str, i: int
) -> Frame:
  where = f"{source}: frame {i}"
  if not isinstance(entry, dict):
    raise UserError(f"{where} is no object but {entry!r}.")
  entry = content | entry
  path = _picture(folder, entry.get("file_path"), where)
  where = f"{where} ({path.name})"
  pose = pose_from_json(
    entry.get("transform_matrix"), f'{where}: "transform_matrix"'
  )
  _refuse_distortion(entry, where)
  K, hw = _intrinsics(entry, path, where)
  # file_path without ending: unique in the file, and sorts like the names.
  name = path.relative_to(folder).with_suffix("").as_posix()
  return Frame(name, path, pose @ FLIP_GL_CV, K, hw, source)


def _picture(folder: epath.Path, name: Any, where: str) -> epath.Path:
  """The picture's path, which must be a file inside `folder`."""
  if not isinstance(name, str) or not name:
    raise UserError(f'{where} has no "file_path".')
  pure = pathlib.PurePosixPath(name.replace("\\", "/"))
  inside = (
    "\0" not in name and not pure.is_absolute() and ".." not in pure.parts
  )
  path = folder / str(pure)
  if inside and not path.is_file():
    with_suffix = [
      path.with_name(path.name + suffix) for suffix in PICTURE_SUFFIXES
    ]
    path = next((p for p in with_suffix if p.is_file()), path)
  root = os.path.realpath(folder)
  if not inside or not os.path.realpath(path).startswith(root + os.sep):
    raise UserError(
      f'{where}: "file_path" {name!r} leads out of {folder}. Put the pictures'
      " into the folder and name them relative to it."
    )
  if not path.is_file():
    raise UserError(
      f"{where}: {path} is missing (nor is it with .png or .jpg)."
    )
  return path


def _refuse_distortion(entry: dict[str, Any], where: str) -> None:
  bad = {k: entry[k] for k in _DISTORTION if entry.get(k)}
  model = entry.get("camera_model") or ""
  if bad or entry.get("is_fisheye") or model not in _PINHOLES:
    raise UserError(
      f"{where}: the lens is no pinhole ({bad or model or 'is_fisheye'})."
      " Undistort the pictures first (COLMAP's image_undistorter does) and"
      " write their new intrinsics without distortion."
    )


def _intrinsics(
  entry: dict[str, Any], path: epath.Path, where: str
) -> tuple[np.ndarray, tuple[int, int]]:
  """K and the picture size it is for."""
  w, h = (_number(entry, key, where) for key in ("w", "h"))
  if w is None or h is None:  # for pictures as they are
    h, w = read_hw(path)
  if min(h, w) < 1:
    raise UserError(f"{where}: a picture of {h:g} x {w:g} pixels cannot be.")
  fx, fy = (
    _number(entry, f"fl_{axis}", where)
    or _focal(_number(entry, f"camera_angle_{axis}", where), side)
    for axis, side in (("x", w), ("y", h))
  )
  if fx is None:
    raise UserError(f'{where} has neither "fl_x" nor "camera_angle_x".')
  cx, cy = (_number(entry, key, where) for key in ("cx", "cy"))
  cx, cy = w / 2 if cx is None else cx, h / 2 if cy is None else cy
  K = np.array([[fx, 0, cx], [0, fy or fx, cy], [0, 0, 1]])
  return K, (int(h), int(w))


def _focal(angle: float | None, side: float | int) -> float | None:
  """The focal length in pixels of a field of view in radians."""
  if angle is None or not 0 < angle < math.pi:
    return None
  return side / 2 / math.tan(angle / 2)


def _number(entry: dict[str, Any], key: str, where: str) -> float | None:
  value = entry.get(key)
  if value is None:
    return None
  if not isinstance(value, int | float) or not math.isfinite(value):
    raise UserError(f'{where}: "{key}" is no number but {value!r}.')
  return float(value)
