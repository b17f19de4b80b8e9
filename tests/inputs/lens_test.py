# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The lens in a transforms.json: which key counts, and distortion removed.

The oracle is a picture that is a formula of the ray: a pinhole's picture can be
computed for any K, and a distorted one from OpenCV's inverse of the lens.
"""

import cv2
import numpy as np
from posed_folders import write_transforms
import pytest

from threedim_jax.inputs.posed_images import lens, read_posed_images
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

H, W, F = 96, 128, 100.0
K = np.array([[F, 0, 61.0], [0, F, 50.0], [0, 0, 1]])
HEAD = {"fl_x": F, "fl_y": F, "cx": 61.0, "cy": 50.0, "w": W, "h": H}
POSE = camera_paths.orbit(1, 20, 2.0)
STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-12)


def rays(K):
  """Positions [H W 2] at depth 1 that a pinhole sees in its pixels."""
  y, x = np.indices((H, W)) + 0.5
  return np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1]], -1)


def formula(plane):
  """A smooth picture [.. 3] of positions at depth 1."""
  u, v = plane[..., 0], plane[..., 1]
  waves = [np.sin(5 * u + v), np.cos(4 * v), np.sin(3 * u - 4 * v)]
  return 110 + 60 * np.stack(waves, -1)


def picture_through(coefficients=None, fisheye=False):
  """The picture [H W 3] that a lens with OpenCV's coefficients takes."""
  plane = rays(K).reshape(-1, 1, 2)
  if fisheye:
    plane = cv2.fisheye.undistortPoints(plane, np.eye(3), coefficients)
  elif coefficients is not None:
    plane = cv2.undistortPoints(
      plane, np.eye(3), np.array(coefficients), criteria=STOP
    )
  return np.uint8(formula(plane.reshape(H, W, 2)) + 0.5)


def read(folder, image_u8, head, **frame):
  write_transforms(folder, head, ["000"], [image_u8], POSE, **frame)
  posed = read_posed_images(folder)
  return posed.images_u8[0], posed.K[0]


def assert_shows_the_formula(image_u8, K, least):
  """Within the interpolation's error wherever it is not white."""
  shown = ~(image_u8 == 255).all(-1)
  assert shown.mean() > least
  error = np.abs(image_u8 - formula(rays(K)))[shown]
  assert np.quantile(error, 0.99) < 2 and error.max() < 12


BARREL = (-0.3, 0.1, 0.002, -0.003)
RATIONAL = (0.2, -0.05, 0.001, 0.002, 0.01, 0.4, 0.02, 0.003)
NAMES = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
FISH = (0.05, -0.02, 0.004, -0.001)
FISH_KEYS = dict(zip(("k1", "k2", "k3", "k4"), FISH, strict=True))
IS_FISHEYE = {"is_fisheye": True}


def params(*values):
  return {"distortion_params": [*values]}


def model(name):
  return {"camera_model": name}


@pytest.mark.parametrize("in_frame", [False, True])
@pytest.mark.parametrize(
  "coefficients, fisheye, spelling",
  [
    (BARREL, False, dict(zip(NAMES, BARREL, strict=False))),
    (BARREL, False, params(-0.3, 0.1, 0, 0, 0.002, -0.003)),
    (BARREL, False, params(*BARREL) | model("OPENCV")),
    ((0.25, 0, 0, 0), False, {"k1": 0.25} | model("SIMPLE_RADIAL")),
    (RATIONAL, False, dict(zip(NAMES, RATIONAL, strict=True))),
    (RATIONAL, False, params(*RATIONAL) | model("FULL_OPENCV")),
    (FISH, True, FISH_KEYS | model("OPENCV_FISHEYE")),
    (FISH, True, FISH_KEYS | IS_FISHEYE),
    (FISH, True, params(*FISH) | IS_FISHEYE),
    (FISH, True, params(*FISH, 0, 0) | IS_FISHEYE),
    ((0.0, 0, 0, 0), True, model("opencv_fisheye")),
  ],
)
def test_every_spelling_of_distortion_is_removed(
  tmp_path, coefficients, fisheye, spelling, in_frame
):
  coefficients = np.array(coefficients)
  image_u8 = picture_through(coefficients, fisheye)
  head, frame = (HEAD, spelling) if in_frame else (HEAD | spelling, {})
  straight_u8, new_K = read(tmp_path, image_u8, head, **frame)
  assert_shows_the_formula(straight_u8, new_K, least=0.6)
  plain_u8, _ = read(tmp_path, image_u8, HEAD)
  with pytest.raises(AssertionError):  # the oracle sees what is not removed
    assert_shows_the_formula(plain_u8, K, least=0.6)


def test_no_pixel_of_the_picture_is_lost(tmp_path, capsys):
  """The border of the distorted picture lies inside the straight one."""
  head = HEAD | {"k1": -0.2}
  _, new_K = read(tmp_path, picture_through((-0.2, 0, 0, 0)), head)
  assert "removes the lens distortion of 1 pictures" in capsys.readouterr().err
  corners = np.array([[0, 0], [W, 0], [0, H], [W, H], [W / 2, 0]], float)
  plane = cv2.undistortPoints(
    corners[:, None], K, np.array([-0.2, 0, 0, 0]), criteria=STOP
  )[:, 0]
  px = plane * new_K[[0, 1], [0, 1]] + new_K[:2, 2]
  assert (px > -0.1).all() and (px < np.array([W, H]) + 0.1).all()
  assert new_K[0, 0] == pytest.approx(new_K[1, 1]) and new_K[0, 0] > 0.6 * F


def test_a_lens_model_that_folds_over_shows_nothing_twice(tmp_path):
  """r - 0.8 r^3 is largest at r = 0.65: beyond it nothing may be drawn."""
  image_u8 = np.full((H, W, 3), 90, np.uint8)
  straight_u8, new_K = read(tmp_path, image_u8, HEAD | {"k1": -0.8})
  radius = np.linalg.norm(rays(new_K), axis=-1)
  assert (straight_u8[radius > 0.66] == 255).all()
  assert (straight_u8[radius < 0.4] == 90).all()


@pytest.mark.parametrize(
  "spelling",
  [
    {"k1": 0.0} | model("OPENCV"),
    {"k1": 0, "k2": 0, "k3": 0, "k4": 0, "p1": 0, "p2": 0},
    {"k1": 1e-7, "p2": -1e-8},
    {"k1": None},
    params(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    params(0, 0, 0),
    params(1e-9, 0, 0, 0, 0, 0) | model("PINHOLE"),
    params(*[0.0] * 8) | model("FULL_OPENCV"),
    model("SIMPLE_PINHOLE") | {"is_fisheye": False},
    {"rolling_shutter": [0, 0, 0, 0]},
    {"distortion": [0.0, 0.0], "radial_distortion": {"k1": 0}},
    {"skew": 0.0, "is_orthographic": False, "undistorted": True},
    {"distortion_coefficients": None, "K": None, "intrinsics": []},
    {"K": K.tolist()},  # beside fl_x
    {"intrinsics_id": 3, "intrinsics_path": "cam.json"},
    {"distortion_model": "OpenCV"},
  ],
)
def test_negligible_distortion_is_a_pinhole(tmp_path, spelling):
  image_u8 = picture_through()
  found_u8, found_K = read(tmp_path, image_u8, HEAD | spelling)
  np.testing.assert_array_equal(found_u8, image_u8)
  np.testing.assert_allclose(found_K, K)


@pytest.mark.parametrize(
  "spelling, message",
  [
    (model("FISHEYE624"), "camera_model is 'FISHEYE624'"),
    (model("EQUIRECTANGULAR"), "camera_model is"),
    (model(["OPENCV"]), "camera_model is"),
    ({"k4": 0.1}, "two meanings"),
    ({"k1": 0.1, "k5": 0.2, "is_fisheye": True}, "fisheye lens has no k5"),
    (params(0.1, 0, 0), "has 3 numbers"),
    (params(0.1, 0, 0, 0), "has 4 numbers"),
    ({"distortion_params": "none"}, "not a list"),
    (params(0.1, "x", 0, 0, 0, 0), "is not a number"),
    (params(0.1, 0, 0, 0, 0, 0) | {"k1": 0.2}, "contradict"),
    ({"k1": -30.0}, "undistorted, only .* would show something"),
    ({"k1": 1e200}, "undistorted, only"),
    ({"k1": "0.1"}, '"k1" is not a number'),
    ({"latlong": True}, "latlong is not supported"),
    ({"rolling_shutter": [0, 0, 0.1, 0]}, "rolling_shutter"),
    ({"distortion": [0.1, 0, 0, 0]}, '"distortion" is not read, but k1'),
    ({"distortion_coefficients": [[0.1]]}, "_coefficients. is not read"),
    ({"radial_distortion": {"k1": 0.1}}, "radial_distortion. is not read"),
    ({"skew": 5}, "skew. is not read"),
    ({"is_orthographic": True}, "is_orthographic. is not read"),
    ({"fl_x": None, "fl_y": None, "K": K.tolist()}, '"K" is not read: write'),
    ({"fl_x": True}, '"fl_x" is not a number'),
    ({"fl_x": 10**400}, '"fl_x" is not a number'),
    ({"w": 0}, "cannot have 96 x 0"),
    ({"fl_x": -9.0}, "no intrinsic matrix"),
    ({"fl_x": None, "fl_y": None, "camera_angle_x": 4.0}, "between 0 and pi"),
    ({"fl_x": None, "fl_y": None}, 'neither "fl_x" nor "camera_angle_x"'),
  ],
)
def test_what_cannot_be_read_right_is_refused(tmp_path, spelling, message):
  with pytest.raises(UserError, match=message):
    read(tmp_path, picture_through(), HEAD | spelling)


def test_deeply_nested_values_are_searched():
  value = 0.1
  for _ in range(10_000):
    value = [{"k1": value}, 0]
  assert lens._any_nonzero(value) and not lens._any_nonzero([[0], {"k1": None}])


@pytest.mark.parametrize("key", ["K", "intrinsics", "intrinsic_matrix"])
def test_a_matrix_of_one_frame_is_not_ignored(tmp_path, key):
  matrix = {key: K.tolist()}
  with pytest.raises(UserError, match=f'"{key}" is not read: write its num'):
    read(tmp_path, picture_through(), HEAD, **matrix)
  read(tmp_path, picture_through(), HEAD, **matrix, fl_x=F)  # says the same


# ------------------------------------------------------------- the levels


def f_of(K):
  return K[0, 0], K[1, 1]


ANGLE = 2 * np.arctan(W / 2 / 150)
SIZE, TWICE = {"w": W, "h": H}, {"w": 2 * W, "h": 2 * H}
NO_SIZE = {"w": None, "h": None}
FAR_CENTRE = NO_SIZE | {"cx": 256.0, "cy": 192.0}


@pytest.mark.parametrize(
  "head, frame, focal, centre",
  [
    ({}, {"fl_x": 150.0, "fl_y": 140.0}, (150, 140), (61, 50)),
    ({}, {"fl_x": 150.0}, (150, 150), (61, 50)),
    ({}, {"fl_y": 150.0}, (150, 150), (61, 50)),
    ({}, {"camera_angle_x": ANGLE}, (150, 150), (61, 50)),
    ({}, {"x_fov": float(np.degrees(ANGLE))}, (150, 150), (61, 50)),
    ({"camera_angle_x": ANGLE}, {}, (F, F), (61, 50)),  # one level: fl_x
    ({"camera_angle_x": ANGLE}, {"fl_x": 120.0}, (120, 120), (61, 50)),
    ({}, {"cx": 70.0}, (F, F), (70, 48)),  # cy of the file goes, too
    ({}, {"cx": 70.0, "cy": 40.0}, (F, F), (70, 40)),
    # Sizes: of the level that the number is in.
    ({}, SIZE, (F, F), (61, 50)),
    (TWICE, SIZE, (F / 2, F / 2), (30.5, 25)),
    (TWICE, SIZE | {"fl_x": F}, (F, F), (30.5, 25)),
    ({"h": None}, {}, (F, F), (61, 50)),
    # No size: from the picture, or from a principal point that is far off.
    (NO_SIZE, {}, (F, F), (61, 50)),
    (NO_SIZE | {"cx": None, "cy": None}, {}, (F, F), (64, 48)),
    (FAR_CENTRE, {"fl_x": 2 * F}, (F / 2, F / 2), (64, 48)),
    (FAR_CENTRE, {"camera_angle_x": ANGLE}, (150, 150), (64, 48)),
  ],
)
def test_a_frame_replaces_what_the_file_says(
  tmp_path, head, frame, focal, centre
):
  _, found = read(tmp_path, picture_through(), HEAD | head, **frame)
  np.testing.assert_allclose(f_of(found), focal, rtol=1e-6)
  np.testing.assert_allclose(found[:2, 2], centre, rtol=1e-6)


@pytest.mark.parametrize(
  "head, frame, is_straight",
  [
    ({"k1": -0.3}, {"k1": 0.0}, True),
    ({"k1": -0.3}, {"p1": 0.0}, True),
    ({"k1": -0.3}, model("PINHOLE"), True),
    ({"k1": -0.3}, {"fl_x": F}, False),
    ({"k1": -0.3}, model("OPENCV"), False),
    (IS_FISHEYE, model("OPENCV") | {"k1": 0.0}, True),
    ({}, params(-0.3, 0, 0, 0, 0, 0), False),
    (params(-0.3, 0, 0, 0, 0, 0), {"k1": 0}, True),
  ],
)
def test_distortion_of_a_frame_replaces_that_of_the_file(
  tmp_path, head, frame, is_straight
):
  image_u8 = picture_through()
  found_u8, _ = read(tmp_path, image_u8, HEAD | head, **frame)
  assert (found_u8 == image_u8).all() == is_straight
