# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the intrinsics and the lens distortion from a transforms.json.

  lens = read_lens(file, frame, picture_hw, "transforms.json: frame 0")

A transforms.json can describe the lens at two levels: once for the whole file,
and again for a single frame. The keys form four groups: focal length, principal
point, picture size and distortion. If a frame has any key of a group, all keys
of that group at the file level are ignored. For example, a frame's `fl_x` is
never combined with the file's `fl_y`.
"""

from collections.abc import Mapping
import dataclasses
import math
import re
from typing import Any

from jaxtyping import Float
import numpy as np

from threedim_jax.inputs.posed_images.text_files import check_K
from threedim_jax.inputs.posed_images.undistort import Distortion, largest_shift
from threedim_jax.runtime.errors import UserError

# Twice the principal point is the picture size that K implies. If this size
# differs from the actual size by at least this fraction, equally along both
# axes, K is for another picture size. Real lenses are off by a few per cent.
_FAR_OFF_CENTRE = 0.2
SAME_SCALE = 0.02  # two axes' scales that differ by less count as equal
_FOCAL = (
  *("fl_x", "camera_angle_x", "x_fov"),
  *("fl_y", "camera_angle_y", "y_fov"),
)
# Names of coefficients in three orders: that of OpenCV's rational model, of
# nerfstudio's `distortion_params`, and of OpenCV's fisheye model.
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
# Keys of other programs, for what this module reads from other keys or does not
# model.
_OTHER_LENS_KEY = re.compile(r"(?<!un)distort|radial|skew|ortho", re.IGNORECASE)
_MATRIX_KEY = re.compile(r"(cam_)?K|.*intrinsic.*|.*camera_matrix.*")
# Values of "distortion_model" that k1, k2, p1, p2 and k3 fit.
_PLAIN_MODELS = ("none", "opencv", "pinhole", "plumb_bob", "radtan")
_NEGLIGIBLE = 0.1  # pixels; distortion that moves pixels less is ignored


@dataclasses.dataclass(frozen=True)
class Lens:
  """Intrinsics and distortion of the camera that took a picture.

  Attributes:
    K: intrinsics, in pixels of a picture of size `hw`.
    hw: (height, width) in pixels of the pictures for which K was written.
    distortion: distortion of the lens; None for a pinhole camera.
  """

  K: Float[np.ndarray, "3 3"]
  hw: tuple[float | int, float | int]
  distortion: Distortion | None


def read_lens(
  file: Mapping[str, Any],
  frame: Mapping[str, Any],
  picture_hw: tuple[int, int],
  where: str,
) -> Lens:
  """Reads the lens of one frame.

  If neither the file nor the frame states a picture size (`w` and `h`), K is
  assumed to be for the actual size of the picture. The exception is a principal
  point that clearly implies another size, see `implied_hw`.

  Args:
    file: content of the whole transforms.json.
    frame: the frame's entry in the list "frames".
    picture_hw: actual height and width of the frame's picture, in pixels.
    where: what error messages call the frame.

  Raises:
    UserError: a value is not a number, the focal length is missing, OpenCV has
      no model for the lens, or a key that is not read describes the lens.
  """
  levels = (frame, file)
  focal, i = _first_level(levels, _FOCAL, where)
  for level in levels[:i] if focal else levels:
    for key in level:
      is_matrix = isinstance(level[key], list | dict)
      if is_matrix and _MATRIX_KEY.fullmatch(key) and _any_nonzero(level[key]):
        raise UserError(
          f'{where}: "{key}" is not read: write its numbers as "fl_x", "fl_y",'
          ' "cx" and "cy".'
        )
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
  """Returns the picture size (h, w) that K's principal point implies.

  The implied size is `hw`, the actual size of the picture, unless the principal
  point is clearly the centre of a smaller or larger picture with the same
  aspect ratio.
  """
  times = 2 * K[[1, 0], 2] / hw
  alike = times.min() > 0 and abs(times[0] / times[1] - 1) < SAME_SCALE
  if not alike or abs(times.mean() - 1) < _FAR_OFF_CENTRE:
    return hw
  return tuple((2 * K[[1, 0], 2]).round().astype(int).tolist())


def number(entry: Mapping[str, Any], key: str, where: str) -> float | None:
  """Returns the number at a key of a JSON object; None if the key is missing.

  Args:
    where: what error messages call the JSON object.

  Raises:
    UserError: the value is not a finite number.
  """
  value = entry.get(key)
  if value is None:
    return None
  if isinstance(value, int | float) and not isinstance(value, bool):
    if abs(value) < 1e300:  # False for nan; JSON integers may exceed a float
      return float(value)
  raise UserError(f'{where}: "{key}" is not a number but {_short(value)}.')


def _short(value: Any) -> str:
  text = repr(value)
  return text if len(text) < 80 else text[:77] + "..."


def _first_level(
  levels: tuple[Mapping[str, Any], ...], keys: tuple[str, ...], where: str
) -> tuple[dict[str, float], int]:
  """Returns the numbers at `keys` from the first level that has any of them.

  Args:
    levels: the frame's JSON object, then that of the whole file.
    where: what error messages call the frame.

  Returns:
    ({key: number}, index of the level used). If no level has any of the keys,
    the dictionary is empty and the index is that of the whole file.
  """
  for i, level in enumerate(levels):
    values = {key: number(level, key, where) for key in keys}
    values = {key: value for key, value in values.items() if value is not None}
    if values:
      return values, i
  return {}, len(levels) - 1


def _size(
  level: Mapping[str, Any], picture_hw: tuple[int, int], where: str
) -> tuple[float | int, float | int] | None:
  """Returns the picture size (h, w) in a JSON object; None if it has none.

  The JSON object (`level`) is that of a frame or of the whole file. If it has
  only `h` or only `w`, the other is computed from the aspect ratio of the
  actual picture.
  """
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
  """Returns the focal length along an axis, in pixels; None if it is not given.

  For x, the keys are `fl_x` (pixels), `camera_angle_x` (radians) and `x_fov`
  (degrees); the first one present is used. For y, the keys are `fl_y` etc.

  Args:
    focal: the keys that are present, as {key: number}.
    axis: "x" or "y".
    side: the picture's width (for x) or height (for y), in pixels.
    where: what error messages call the frame.
  """
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


def _distortion(
  levels: tuple[Mapping[str, Any], ...],
  K: Float[np.ndarray, "3 3"],
  hw: tuple[float | int, float | int],
  where: str,
) -> Distortion | None:
  """Returns the distortion of a frame's lens; None if it is negligible.

  If the frame (`levels[0]`) has coefficients of its own, those of the whole
  file (`levels[1]`) are ignored. A distortion is negligible if it moves every
  pixel by less than `_NEGLIGIBLE`. The distortion of a fisheye lens is never
  negligible.
  """
  for level in levels:
    named = [key for key in _UNKNOWN_LENSES if level.get(key)]
    if named or _any_nonzero(level.get("rolling_shutter")):
      key = " ".join(named) or "rolling_shutter"
      raise _cannot_read(where, f"{key} is not supported")
    for key in level.keys() - {"distortion_params"}:
      is_plain = str(level[key]).lower() in _PLAIN_MODELS
      if (
        _OTHER_LENS_KEY.search(key)
        and _any_nonzero(level[key])
        and not is_plain
      ):
        why = f'"{key}" is not read, but k1, k2, p1, p2 and k3 to k6 are'
        raise _cannot_read(where, why)
  model, is_fisheye, model_level = _camera_model(levels, where)
  found = {}
  for i, level in enumerate(levels):
    found = _coefficients(level, model, is_fisheye, where)
    if found or (i == model_level and model in _PINHOLE_MODELS):
      break
  found = {key: value for key, value in found.items() if value}
  if is_fisheye:
    if extra := found.keys() - set(_FISHEYE):
      names = " or ".join(sorted(extra))
      raise _cannot_read(where, f"a fisheye lens has no {names}")
    values = tuple(found.get(key, 0.0) for key in _FISHEYE)
    return Distortion(values, True)
  is_rational = model == "FULL_OPENCV" or found.keys() & {"k5", "k6"}
  if "k4" in found and not is_rational:
    raise _cannot_read(
      where,
      "k4 without k5, k6 or the camera_model FULL_OPENCV has two meanings",
    )
  values = tuple(found.get(key, 0.0) for key in _OPENCV)
  lens = Distortion(values, False)
  return None if largest_shift(lens, K, hw) < _NEGLIGIBLE else lens


def _cannot_read(where: str, why: str) -> UserError:
  return UserError(
    f"{where}: the lens cannot be read ({why}). Undistort the pictures first"
    " (COLMAP's image_undistorter does) and write their new intrinsics"
    " without distortion."
  )


def _camera_model(
  levels: tuple[Mapping[str, Any], ...], where: str
) -> tuple[str, bool, int]:
  """Returns the camera model of the frame, `levels[0]`, or else of the file.

  Returns:
    (name in capitals, whether the lens is a fisheye, index of the level used).
    If neither states a model, the name is empty and the index is 1, the file's.
  """
  for i, level in enumerate(levels):
    name, flag = level.get("camera_model"), level.get("is_fisheye")
    if name is None and flag is None:
      continue
    model = str(name or "").upper()
    known = _PINHOLE_MODELS + _OPENCV_MODELS + _FISHEYE_MODELS
    if model and model not in known:
      raise _cannot_read(where, f"camera_model is {_short(name)}")
    is_fisheye = bool(flag) or model in _FISHEYE_MODELS
    return model, is_fisheye, i
  return "", False, len(levels) - 1


def _coefficients(
  level: Mapping[str, Any], model: str, is_fisheye: bool, where: str
) -> dict[str, float]:
  """Returns the distortion coefficients in a JSON object as {name: value}.

  The JSON object of a frame or of the whole file (`level`) gives each
  coefficient its own key (k1, k2, ...), or has one list `distortion_params`.
  """
  by_key = {key: number(level, key, where) for key in _OPENCV}
  by_key = {key: value for key, value in by_key.items() if value is not None}
  values = level.get("distortion_params")
  if values is None:
    return by_key
  if not isinstance(values, list):
    why = f'"distortion_params" is not a list but {_short(values)}'
    raise _cannot_read(where, why)
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
    raise _cannot_read(
      where,
      f'"distortion_params" has {len(values)} numbers; the six of nerfstudio'
      f" are {', '.join(_NERFSTUDIO)}",
    )
  else:
    names = ()
  by_list = dict(zip(names, values, strict=False))
  if any(by_key.values()) and by_key != {k: by_list.get(k) for k in by_key}:
    why = '"distortion_params" and k1 .. p2 contradict each other'
    raise _cannot_read(where, why)
  return by_list


def _any_nonzero(value: Any) -> bool:
  """Returns whether a JSON value has content other than 0, null and false."""
  pending = [value]  # a recursion would be too deep for some files
  while pending:
    value = pending.pop()
    if isinstance(value, dict):
      pending.extend(value.values())
    elif isinstance(value, list):
      pending.extend(value)
    elif value:
      return True
  return False
