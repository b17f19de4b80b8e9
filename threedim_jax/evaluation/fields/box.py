# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds a cube (the "box") around an object, from the cameras alone.

A neural field needs bounds, and data sets do not state them. We assume that
each camera is aimed at the object and shows the whole object. The viewing axis
of a camera is the line through the middle of its field of view. The centre of
the cube is the point nearest to all viewing axes. For each camera, we take the
largest sphere around this centre that fits into the picture. Half the cube's
edge is the mean radius of these spheres.

  center, radius = box_from_cameras(world_from_cam, K, hw=(64, 64))
"""

from jaxtyping import Float, Float32
import numpy as np

from threedim_jax.runtime.errors import UserError
from threedim_jax.views.cameras import Camera
from threedim_jax.views.lines import nearest_point

# If the axes differ by less than about 3 degrees (one view, a pan, parallel
# axes), the distance of the point where they meet is undefined.
_MIN_SPREAD = np.sin(np.radians(3.0)) ** 2


def box_from_cameras(
  world_from_cam: Float[np.ndarray, "V 4 4"],
  K: Float[np.ndarray, "V 3 3"],
  hw: tuple[int, int],
) -> tuple[Float[np.ndarray, "3"], float]:
  """Returns the centre and half the edge of an object's cube, in world units.

  Args:
    world_from_cam: rigid camera-to-world transforms in OpenCV axes.
    K: intrinsics in pixels.
    hw: height and width of the pictures.

  Raises:
    UserError: the object's position cannot be found from the cameras.
  """
  world_from_cam, K = np.float64(world_from_cam), np.float64(K)
  eye = world_from_cam[:, :3, 3]
  axis, half_angle = _viewing_axes(world_from_cam, K, hw)
  center, spread = nearest_point(eye, axis)
  if spread < _MIN_SPREAD:
    raise UserError(
      "the viewing axes of the cameras are (almost) parallel, so the distance"
      " of the object is unknown: add views from other sides"
    )
  distance = np.linalg.norm(center - eye, axis=-1)
  ahead = np.sum((center - eye) * axis, -1)
  if np.median(ahead) <= 0:
    raise UserError(
      "the cameras look away from the point where their viewing axes meet:"
      " world_from_cam is probably inverted, or in OpenGL axes (y up, z"
      " backward) where OpenCV's (y down, z forward) are meant"
    )
  radius = float(np.mean(distance * np.sin(half_angle)))
  return center, radius


def _viewing_axes(world_from_cam, K, hw):
  """Returns the viewing axis and half the angle of view of each camera.

  The viewing axis bisects the horizontal and the vertical field of view. In a
  cropped picture, the viewing axis may differ from the optical axis, because
  the principal point need not be in the middle.

  Returns:
    (unit directions [V, 3] in world axes; half angles [V] in radians, of the
    horizontal or vertical field of view, whichever is narrower).
  """
  h, w = hw
  size = np.array([w, h], np.float64)
  focal = K[:, [0, 1], [0, 1]]
  low, high = (np.arctan((s - K[:, :2, 2]) / focal) for s in (0, size))
  middle = np.concatenate(
    [np.tan((low + high) / 2), np.ones((len(K), 1))], axis=-1
  )
  axis = np.einsum("vij,vj->vi", world_from_cam[:, :3, :3], middle)
  axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
  return axis, (high - low).min(-1) / 2


def boxes_from_cameras(
  world_from_cam: Float[np.ndarray, "O V 4 4"],
  K: Float[np.ndarray, "O V 3 3"],
  hw: tuple[int, int],
) -> tuple[Float32[np.ndarray, "O 3"], Float32[np.ndarray, " O"]]:
  """Applies `box_from_cameras` to the cameras of each of O objects."""
  boxes = [
    box_from_cameras(poses, k, hw)
    for poses, k in zip(world_from_cam, K, strict=True)
  ]
  return np.float32([c for c, _ in boxes]), np.float32([r for _, r in boxes])


def cameras_in_box(world_from_cam, K, center, radius) -> Camera:
  """Converts cameras to box coordinates, in which each cube is [-1, 1]^3.

  Args:
    world_from_cam: camera-to-world transforms [O, V, 4, 4], V per object.
    K: intrinsics [O, V, 3, 3] in pixels.
    center: centre [O, 3] of each object's cube, in world units.
    radius: half the edge [O] of each object's cube, in world units.

  Returns:
    Cameras with leading axes [O, V].
  """
  poses = np.array(world_from_cam, np.float32)
  offset = poses[:, :, :3, 3] - np.asarray(center)[:, None]
  poses[:, :, :3, 3] = offset / np.asarray(radius)[:, None, None]
  return Camera(poses, np.asarray(K, np.float32))
