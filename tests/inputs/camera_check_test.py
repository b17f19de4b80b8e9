# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The camera check: right cameras pass, every planted fault is named."""

import dataclasses

import numpy as np
from posed_folders import render
import pytest

from threedim_jax.inputs.camera_check import checks as camera_check
from threedim_jax.inputs.camera_check.checks import check_cameras
from threedim_jax.views import camera_paths
from threedim_jax.views.posed_views import PosedViews

SIDE, VIEWS = 32, 16
OBJECTS = (("chair", 0), ("car", 1))


def hemisphere(rng, radius):
  """As Blender's scenes have it: uniform, from the horizon to the pole."""
  direction = rng.standard_normal((VIEWS, 3))
  direction[:, 2] = np.abs(direction[:, 2])
  direction /= np.linalg.norm(direction, axis=1, keepdims=True)
  return camera_paths.look_at(radius * direction)


PATHS = {
  "random": lambda rng, r: camera_paths.random_views(rng, VIEWS, r),
  "spiral": lambda rng, r: camera_paths.srn_spiral(251, r)[:: 250 // 15][
    :VIEWS
  ],
  "orbit": lambda rng, r: camera_paths.orbit(VIEWS, 20, r),
  "level orbit": lambda rng, r: camera_paths.orbit(VIEWS, 0, r),
  "hemisphere": hemisphere,
}


def make_objects(path: str, side: int = SIDE) -> list[PosedViews]:
  rng, objects = np.random.default_rng(0), []
  for kind, index in OBJECTS:
    poses = PATHS[path](rng, camera_paths.RADIUS[kind])
    images_u8 = render(kind, index, poses, side)
    K = np.tile(camera_paths.default_K(side), (len(poses), 1, 1))
    name = f"{kind}_{index}"
    views = PosedViews(images_u8, poses, K, name=name, checked=False)
    objects.append(views)
  return objects


@pytest.fixture(scope="module")
def scene():
  return make_objects("random")


def verdicts(report) -> dict[str, str]:
  return {check.name: check.verdict for check in report.checks}


def planted(objects, **changes):
  """Every object with functions of it in the place of some of its fields."""
  return [
    dataclasses.replace(o, **{k: f(o) for k, f in changes.items()})
    for o in objects
  ]


@pytest.mark.parametrize("path", PATHS)
def test_right_cameras_pass(path):
  report = check_cameras(make_objects(path))
  assert set(verdicts(report).values()) == {"ok"}, report.checks
  assert report.best.name == "as stored"
  stored = min(report.iou["as stored"].values())
  assert stored > camera_check.FLOOR


SHUFFLED = np.random.default_rng(0).permutation(VIEWS)


def shuffled(o):
  return o.world_from_cam[SHUFFLED]


def inverted(o):
  return np.linalg.inv(o.world_from_cam)


def turned(*diagonal):
  return lambda o: o.world_from_cam @ np.diag([*diagonal, 1.0])


def times(x, y):
  return lambda o: o.K * np.array([x, y, 1])[:, None]


def focal(factor):
  return lambda o: o.K * [[factor, 1, 1], [1, factor, 1], [1, 1, 1]]


def far_chair(o, times=10):
  poses = o.world_from_cam.copy()
  poses[:, :3, 3] *= times if o.name == "chair_0" else 1
  return poses


# The field that is wrong, how it is made, and words of the report.
FAULTS = [
  ("world_from_cam", inverted, "poses are inverted (cam_from_world)"),
  ("world_from_cam", turned(1, -1, -1), "poses have OpenGL axes"),
  (
    "world_from_cam",
    lambda o: np.linalg.inv(turned(1, -1, -1)(o)),
    "poses are inverted (cam_from_world) and have OpenGL",
  ),
  ("world_from_cam", turned(-1, -1, 1), "poses have PyTorch3D axes"),
  ("world_from_cam", shuffled, "pictures and poses do not belong together"),
  ("world_from_cam", far_chair, "chair_0 and car_1 have different units"),
  ("world_from_cam", turned(1, 1, -1), "chair_0 (view 0 of those checked)"),
  ("world_from_cam", turned(1, 1, -1), "is mirrored"),
  ("world_from_cam", turned(1, 1, 1.01), "has no rotation"),
  ("world_from_cam", turned(1, 1, np.nan), "not finite"),
  (
    "world_from_cam",
    lambda o: o.world_from_cam @ np.diag([1.0, 1, 1, 2]),
    "last row",
  ),
  ("K", times(4, 4), "K is for pictures of 128 x 128 pixels, not 32 x 32"),
  ("K", times(0.5, 0.5), "K is for pictures of 16 x 16 pixels, not 32 x 32"),
  (
    "K",
    lambda o: o.K + [[0, 0, 3], [0, 0, -2], [0, 0, 0]],
    "the principal point (19, 14) is off the centre",
  ),
  ("K", focal(2), "the focal length is about 2 times"),
  ("K", focal(0.5), "the focal length is about 0.5 times"),
  ("K", times(1 / 32, 1 / 32), "is K in pixels?"),
  ("K", lambda o: o.K * np.nan, "is K in pixels?"),
  ("images_u8", lambda o: o.images_u8[:, :, ::-1], "mirrored left to right"),
  ("images_u8", lambda o: o.images_u8[:, ::-1], "upside down"),
  ("images_u8", lambda o: o.images_u8 // 2, "lay the objects over white"),
]


def the_fault(report) -> str:
  (fault,) = report.faults
  return fault.text


@pytest.mark.parametrize("field, change, words", FAULTS)
def test_a_planted_fault_is_named(scene, field, change, words):
  assert words in the_fault(check_cameras(planted(scene, **{field: change})))


def test_a_chair_that_is_twice_as_far_is_a_note(scene):
  # The focal length grows with the distance, so that the chair fits its box.
  farther = planted(scene, world_from_cam=lambda o: far_chair(o, times=1.5))
  K = times(1.5, 1.5)
  farther = [
    dataclasses.replace(
      o, K=K(o) - [[0, 0, SIDE / 4], [0, 0, SIDE / 4], [0] * 3]
    )
    if o.name == "chair_0"
    else o
    for o in farther
  ]
  report = check_cameras(farther)
  assert not report.faults
  (note,) = [c for c in report.checks if c.name == "distances"]
  assert (
    note.verdict == "note" and "times as far as those of car_1" in note.text
  )


def test_two_faults_at_once(scene):
  objects = planted(scene, K=times(4, 4), world_from_cam=turned(1, -1, -1))
  fault = the_fault(check_cameras(objects))
  assert "OpenGL axes" in fault and "K is for pictures of 128" in fault


def test_a_crop_is_no_fault():
  """The principal point may be off the centre if the pictures say so too."""
  objects = [
    dataclasses.replace(
      o,
      images_u8=o.images_u8[:, 6:, 6:],
      K=o.K - [[0, 0, 6], [0, 0, 6], [0, 0, 0]],
    )
    for o in make_objects("random", 64)
  ]
  report = check_cameras(objects)
  assert not report.faults and verdicts(report)["K"] == "note"


def test_pictures_without_object(scene):
  objects = planted(scene, images_u8=lambda o: o.images_u8.copy())
  objects[1].images_u8[3] = 255
  report = check_cameras(objects)
  assert "all-white pictures of car_1 (1 of 16)" in the_fault(report)
  assert verdicts(report)["silhouettes"] == "ok"  # by the other views
  blank = planted(scene, images_u8=lambda o: np.full_like(o.images_u8, 255))
  assert verdicts(check_cameras(blank))["object seen"] == "fault"


def test_one_strange_object_of_three_is_a_note(scene):
  odd = dataclasses.replace(
    scene[0], name="odd", world_from_cam=shuffled(scene[0])
  )
  report = check_cameras([*scene, odd])
  assert not report.faults and verdicts(report)["silhouettes"] == "note"
  assert any("['odd']" in check.text for check in report.checks)
