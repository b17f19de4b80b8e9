# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The lens in a transforms.json: intrinsics, and distortion that is removed.

  lens = read_lens(file, frame, picture_hw, "transforms.json: frame 0")
  rgb, K = undistort(rgb, lens.K, lens.distortion)

A transforms.json can describe the lens in two places: for the whole file and
for one frame. The keys belong to four groups (focal length, principal point,
picture size, distortion). If a frame has any key of a group, that frame's keys
replace the whole group of the file: a frame's `fl_x` never meets the file's
`fl_y`.
"""

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

import cv2
from jaxtyping import Float, Float32
import numpy as np

from threedim_jax.inputs.posed_images.text_files import check_K
from threedim_jax.runtime.errors import UserError

# If the principal point is this far from the centre, in both directions alike,
# then K is for another picture size. Real lenses are off by a few per cent.
_FAR_OFF_CENTRE = 0.2
SAME_SCALE = 0.02
_FOCAL = tuple(
  f"{name}{axis}{end}"
  for axis in "xy"
  for name, end in (("fl_", ""), ("camera_angle_", ""), ("", "_fov"))
)
# OpenCV's order of its rational model, and the order of nerfstudio's list.
_OPENCV = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
_NERFSTUDIO = ("k1", "k2", "k3", "k4", "p1", "p2")
_FISHEYE = ("k1", "k2", "k3", "k4")
_PINHOLE_MODELS = ("PINHOLE", "SIMPLE_PINHOLE")
_OPENCV_MODELS = ("OPENCV", "FULL_OPENCV", "SIMPLE_RADIAL", "RADIAL")
_FISHEYE_MODELS = (
  "OPENCV_FISHEYE",
  "SIMPLE_RADIAL_FISHEYE",
  "RADIAL_FISHEYE",
)
# instant-ngp's keys for cameras that this module does not model.
_UNKNOWN_LENSES = ("ftheta_p0", "latlong", "equirectangular", "orthographic")
_NEGLIGIBLE = 0.1  # pixels; a smaller displacement is treated as none
_MAX_RADIUS = math.tan(math.radians(60))  # of a pinhole picture, over f
_MIN_VALID = 0.25  # of an undistorted picture


@dataclasses.dataclass(frozen=True)
class Distortion:
  """OpenCV coefficients: k1 k2 p1 p2 k3 k4 k5 k6, or k1 k2 k3 k4 of fisheye."""

  coefficients: tuple[float, ...]
  is_fisheye: bool


@dataclasses.dataclass(frozen=True)
class Lens:
  """K in pixels of pictures of `hw` pixels; `distortion` None: a pinhole."""

  K: Float[np.ndarray, "3 3"]
  hw: tuple[float | int, float | int]
  distortion: Distortion | None


def read_lens(
  file: Mapping[str, Any],
  frame: Mapping[str, Any],
  picture_hw: tuple[int, int],
  where: str,
) -> Lens:
  """The lens of one frame.

  Args:
    file: the content of the whole transforms.json.
    frame: the frame's entry.
    picture_hw: size of the frame's picture. It is used if neither level has
      `w` and `h`, unless the principal point is clearly that of another size.
    where: names the frame in errors.

  Raises:
    UserError: a value is no number, the focal length is missing, or the camera
      model is not one of OpenCV's.
  """
  levels = (frame, file)
  focal, i = _first_level(levels, _FOCAL, where)
  centre, j = _first_level(levels, ("cx", "cy"), where)
  sizes = [_size(level, picture_hw, where) for level in levels]
  centre_hw = sizes[j] or sizes[1 - j]
  hw = sizes[i] or sizes[1 - i]
  if hw is None and len(centre) == 2:
    K = np.array([[1, 0, centre["cx"]], [0, 1, centre["cy"]], [0, 0, 1]])
    hw = centre_hw = implied_hw(K, picture_hw)
  hw = hw or picture_hw
  scale = np.divide(hw, centre_hw or hw)
  cx = centre.get("cx", (centre_hw or hw)[1] / 2) * scale[1]
  cy = centre.get("cy", (centre_hw or hw)[0] / 2) * scale[0]
  fx, fy = (
    _focal_length(focal, axis, side, where)
    for axis, side in (("x", hw[1]), ("y", hw[0]))
  )
  if fx is None and fy is None:
    raise UserError(f'{where} has neither "fl_x" nor "camera_angle_x".')
  K = np.array([[fx or fy, 0, cx], [0, fy or fx, cy], [0, 0, 1]], np.float64)
  check_K(K, None, where)
  return Lens(K, hw, _distortion(levels, K, hw, where))


def implied_hw(
  K: Float[np.ndarray, "3 3"], hw: tuple[int, int]
) -> tuple[int, int]:
  """The picture size that K is for: `hw`, unless it is clearly another one."""
  times = 2 * K[[1, 0], 2] / hw
  alike = times.min() > 0 and abs(times[0] / times[1] - 1) < SAME_SCALE
  if not alike or abs(times.mean() - 1) < _FAR_OFF_CENTRE:
    return hw
  return tuple((2 * K[[1, 0], 2]).round().astype(int).tolist())


def number(entry: Mapping[str, Any], key: str, where: str) -> float | None:
  """A finite number of a JSON object, or None if it has none."""
  value = entry.get(key)
  if value is None:
    return None
  if isinstance(value, int | float) and not isinstance(value, bool):
    if abs(value) < 1e300:  # False for nan; a JSON integer can be longer
      return float(value)
  raise UserError(f'{where}: "{key}" is no number but {_short(value)}.')


def _short(value: Any) -> str:
  text = repr(value)
  return text if len(text) < 80 else text[:77] + "..."


def _first_level(
  levels: tuple[Mapping[str, Any], ...], keys: tuple[str, ...], where: str
) -> tuple[dict[str, float], int]:
  """The numbers of `keys` in the first level that has any, and its index."""
  for i, level in enumerate(levels):
    values = {key: number(level, key, where) for key in keys}
    values = {key: value for key, value in values.items() if value is not None}
    if values:
      return values, i
  return {}, len(levels) - 1


def _size(
  level: Mapping[str, Any], picture_hw: tuple[int, int], where: str
) -> tuple[float | int, float | int] | None:
  """(h, w) of a level; one of the two is enough, None if both are missing."""
  h, w = (number(level, key, where) for key in ("h", "w"))
  if h is None and w is None:
    return None
  h = w * picture_hw[0] / picture_hw[1] if h is None else h
  w = h * picture_hw[1] / picture_hw[0] if w is None else w
  if min(h, w) < 1 or max(h, w) > 1e6:
    raise UserError(f"{where}: a picture cannot have {h:g} x {w:g} pixels.")
  return h, w


def _focal_length(
  focal: dict[str, float], axis: str, side: float | int, where: str
) -> float | None:
  """Pixels, from fl_x, camera_angle_x (radians) or x_fov (degrees)."""
  if (pixels := focal.get(f"fl_{axis}")) is not None:
    return pixels
  angle = focal.get(f"camera_angle_{axis}")
  if angle is None and f"{axis}_fov" in focal:
    angle = math.radians(focal[f"{axis}_fov"])
  if angle is None:
    return None
  if not 0 < angle < math.pi:
    raise UserError(
      f"{where}: a field of view of {angle:g} radians is not between 0 and pi."
    )
  return side / 2 / math.tan(angle / 2)


# ------------------------------------------------------------- distortion


def _distortion(
  levels: tuple[Mapping[str, Any], ...],
  K: Float[np.ndarray, "3 3"],
  hw: tuple[float | int, float | int],
  where: str,
) -> Distortion | None:
  """What the frame, or else the file, says; None if it moves no pixel."""
  refuse = _refusal(where)
  for level in levels:
    named = [key for key in _UNKNOWN_LENSES if level.get(key)]
    if named or _any_nonzero(level.get("rolling_shutter")):
      raise refuse(f"{' '.join(named) or 'rolling_shutter'} is not supported")
  model, is_fisheye, model_level = _camera_model(levels, refuse)
  found = {}
  for i, level in enumerate(levels):
    found = _coefficients(level, model, is_fisheye, where)
    if found or (i == model_level and model in _PINHOLE_MODELS):
      break
  found = {key: value for key, value in found.items() if value}
  if is_fisheye:
    if extra := found.keys() - set(_FISHEYE):
      raise refuse(f"a fisheye lens has no {' or '.join(sorted(extra))}")
    values = tuple(found.get(key, 0.0) for key in _FISHEYE)
    return Distortion(values, True)
  is_rational = model == "FULL_OPENCV" or found.keys() & {"k5", "k6"}
  if "k4" in found and not is_rational:
    raise refuse(
      "k4 without k5, k6 or the camera_model FULL_OPENCV has two meanings"
    )
  values = tuple(found.get(key, 0.0) for key in _OPENCV)
  lens = Distortion(values, False)
  border = _border(hw)
  moved = np.abs(_distorted(_plane(border, K), K, lens) - border).max()
  return None if moved < _NEGLIGIBLE else lens


def _refusal(where: str):
  def refuse(why: str) -> UserError:
    return UserError(
      f"{where}: the lens cannot be read ({why}). Undistort the pictures first"
      " (COLMAP's image_undistorter does) and write their new intrinsics"
      " without distortion."
    )

  return refuse


def _camera_model(levels, refuse) -> tuple[str, bool, int]:
  """Name in capitals, whether it is a fisheye, index of the level."""
  for i, level in enumerate(levels):
    name, flag = level.get("camera_model"), level.get("is_fisheye")
    if name is None and flag is None:
      continue
    model = str(name or "").upper()
    if model and model not in (
      *_PINHOLE_MODELS,
      *_OPENCV_MODELS,
      *_FISHEYE_MODELS,
    ):
      raise refuse(f"camera_model is {_short(name)}")
    is_fisheye = bool(flag) or model in _FISHEYE_MODELS
    return model, is_fisheye, i
  return "", False, len(levels) - 1


def _coefficients(
  level: Mapping[str, Any], model: str, is_fisheye: bool, where: str
) -> dict[str, float]:
  """By name, from the keys k1 .. p2 or the list `distortion_params`."""
  refuse = _refusal(where)
  by_key = {key: number(level, key, where) for key in _OPENCV}
  by_key = {key: value for key, value in by_key.items() if value is not None}
  values = level.get("distortion_params")
  if values is None:
    return by_key
  if not isinstance(values, list):
    raise refuse(f'"distortion_params" is no list but {_short(values)}')
  entries = {str(i): value for i, value in enumerate(values)}
  values = [
    number(entries, key, f'{where}: "distortion_params"') or 0.0
    for key in entries
  ]
  if is_fisheye and len(values) == 4:
    names = _FISHEYE
  elif len(values) == 6:
    names = _NERFSTUDIO
  elif model in _OPENCV_MODELS and len(values) in (1, 2, 4, 5, 8):
    names = _OPENCV
  elif any(values):
    raise refuse(
      f'"distortion_params" has {len(values)} numbers; the six of nerfstudio'
      f" are {', '.join(_NERFSTUDIO)}"
    )
  else:
    names = ()
  by_list = dict(zip(names, values, strict=False))
  if any(by_key.values()) and by_key != {k: by_list.get(k) for k in by_key}:
    raise refuse('"distortion_params" and k1 .. p2 contradict each other')
  return by_list


def _any_nonzero(value: Any) -> bool:
  return any(value) if isinstance(value, list) else bool(value)


def undistort(
  rgb: Float32[np.ndarray, "H W 3"],
  K: Float[np.ndarray, "3 3"],
  distortion: Distortion,
  where: str,
) -> tuple[Float32[np.ndarray, "H W 3"], Float[np.ndarray, "3 3"]]:
  """The picture that a pinhole would have taken, of the same size, and its K.

  The principal point stays; the focal length shrinks until every pixel of the
  picture is inside. Places that the picture does not show become white. Pixels
  more than 60 degrees off the axis, and pixels that the lens model maps to no
  direction (a polynomial can fold over), are left out.

  Raises:
    UserError: less than a quarter of the result would show something.
  """
  h, w = rgb.shape[:2]
  scale = _scale_that_keeps_all(K, distortion, (h, w))
  new_K = K * np.array([[scale, 1, 1], [1, scale, 1], [1, 1, 1]])
  y, x = np.indices((h, w), np.float64) + 0.5
  px = np.stack([x.ravel(), y.ravel()], -1)
  plane = _plane(px, new_K)
  source = _distorted(plane, K, distortion)
  radius = np.linalg.norm(plane, axis=1)
  valid = (radius <= _radial_curve(distortion)[0][-1]) & (
    (source > 0) & (source < [w, h])
  ).all(1)
  if valid.mean() < _MIN_VALID:
    raise UserError(
      f"{where}: undistorted, only {valid.mean():.0%} of the picture would"
      " show something. Check the distortion coefficients."
    )
  source[~valid] = -9
  # OpenCV counts from the centre of the first pixel, K from its corner.
  at = np.float32(source - 0.5).reshape(h, w, 2)
  out = cv2.remap(
    rgb,
    at,
    None,
    cv2.INTER_CUBIC,
    borderMode=cv2.BORDER_REPLICATE,
  ).clip(0, 255)
  out[~valid.reshape(h, w)] = 255
  return out, new_K


def _border(hw: tuple[float | int, float | int]) -> Float[np.ndarray, "N 2"]:
  """Pixel positions all around a picture."""
  h, w = hw
  t = np.linspace(0, 1, 65)
  zero, one = np.zeros_like(t), np.ones_like(t)
  sides = ((t, zero), (t, one), (zero, t), (one, t))
  return np.concatenate([np.stack([x * w, y * h], -1) for x, y in sides])


def _plane(
  px: Float[np.ndarray, "N 2"], K: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "N 2"]:
  """Positions on the plane at depth 1 in front of a pinhole camera."""
  return (px - K[:2, 2]) / K[[0, 1], [0, 1]]


def _distorted(
  plane: Float[np.ndarray, "N 2"], K: Float[np.ndarray, "3 3"], lens: Distortion
) -> Float[np.ndarray, "N 2"]:
  """The pixels at which the lens shows points of the plane at depth 1."""
  points = np.column_stack([plane, np.ones(len(plane))])[:, None]
  zero = np.zeros(3)
  project = cv2.fisheye.projectPoints if lens.is_fisheye else cv2.projectPoints
  with np.errstate(all="ignore"):
    found, _ = project(points, zero, zero, K, np.array(lens.coefficients))
  return np.nan_to_num(found[:, 0], nan=-1e6, posinf=1e6, neginf=-1e6)


def _radial_curve(lens: Distortion) -> tuple[np.ndarray, np.ndarray]:
  """Radii of a pinhole picture over f, and of the lens's own; both increase.

  Ends where the second would stop to increase, or at 60 degrees.
  """
  r = np.linspace(0, _MAX_RADIUS, 2000)
  if lens.is_fisheye:
    theta = np.arctan(r)
    even = np.polyval([*lens.coefficients[::-1], 1.0], theta**2)
    r_lens = theta * even
  else:
    k1, k2, _, _, k3, k4, k5, k6 = lens.coefficients
    with np.errstate(all="ignore"):
      r_lens = (
        r
        * np.polyval([k3, k2, k1, 1.0], r**2)
        / np.polyval([k6, k5, k4, 1.0], r**2)
      )
  increases = np.diff(r_lens) > 0
  end = len(r) if increases.all() else int(np.argmin(increases)) + 1
  return r[:end], r_lens[:end]


def _scale_that_keeps_all(
  K: Float[np.ndarray, "3 3"], lens: Distortion, hw: tuple[int, int]
) -> float:
  """The factor on the focal length, at most 1."""
  plane = _plane(_border(hw), K)
  radius = np.linalg.norm(plane, axis=1)
  pinhole, of_lens = _radial_curve(lens)
  plane *= (np.interp(radius, of_lens, pinhole) / radius.clip(1e-9))[:, None]
  offset = plane * K[[0, 1], [0, 1]]
  room = np.where(offset > 0, np.array(hw[::-1]) - K[:2, 2], K[:2, 2])
  return float(min(1.0, (room / np.abs(offset).clip(1e-9)).min()))
