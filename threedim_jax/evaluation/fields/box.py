# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where the object is, as far as its cameras tell: a cube around their target.

A field needs bounds. No data set states them, but pictures of an object are
aimed at it and show all of it: the centre is the point nearest to all viewing
axes, and the cube holds the largest sphere that every picture shows whole.

  center, radius = box_from_cameras(world_from_cam, K, hw=(64, 64))

NumPy only, in double precision, before anything is traced.
"""

from jaxtyping import Float
import numpy as np

from threedim_jax.runtime.errors import UserError
from threedim_jax.views.lines import nearest_point

# Axes that meet at less than about 3 degrees (one view, a pan, parallel axes)
# fix their meeting point across them only.
_MIN_SPREAD = np.sin(np.radians(3.0)) ** 2


def box_from_cameras(
  world_from_cam: Float[np.ndarray, "V 4 4"],
  K: Float[np.ndarray, "V 3 3"],
  hw: tuple[int, int],
) -> tuple[Float[np.ndarray, "3"], float]:
  """Centre and half the edge of the cube, in world units.

  Args:
    world_from_cam: rigid transforms in OpenCV axes (see `PosedViews`).
    K: in pixels of a picture of `hw`.
    hw: height and width.

  Raises:
    UserError: together the cameras do not say where the object is.
  """
  world_from_cam, K = np.float64(world_from_cam), np.float64(K)
  eye = world_from_cam[:, :3, 3]
  axis, half_angle = _viewing_axes(world_from_cam, K, hw)
  center, spread = nearest_point(eye, axis)
  if spread < _MIN_SPREAD:
    raise UserError(
      "the viewing axes of the cameras are (almost) parallel, so that nothing"
      " says how far away the object is: views from other sides are needed"
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
  """Unit directions through picture centres; angle to the nearest edge.

  The centre of the picture, not the principal point: those of a crop differ,
  and it was the picture that somebody aimed.
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
