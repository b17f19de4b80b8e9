# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes camera poses: orbits, the spiral of the SRN test set, random views.

  world_from_cam = camera_paths.orbit(24, elevation_deg=20, radius=2.0)
  K = camera_paths.default_K(resolution=64)

The world's z axis points up, and cameras look at the origin. Camera axes follow
OpenCV (x right, y down, z forward). Camera-to-world poses are float64 arrays
[N, 4, 4]. This module uses NumPy only, because the workers that render data
sets must not import JAX.
"""

import math

from jaxtyping import Float
import numpy as np

from threedim_jax.runtime.errors import UserError

# The camera of the SRN renderings: 131.25 px at 128 x 128, about 52 degrees.
FOCAL_AT_128 = 131.25
FOV_DEG = float(np.degrees(2 * np.arctan(64 / FOCAL_AT_128)))
# Converts OpenGL axes (y up, z backward) to OpenCV axes and back.
FLIP_GL_CV = np.diag([1.0, -1.0, -1.0, 1.0])
# Distance of the SRN cameras from the object, in world units.
RADIUS = {"car": 1.3, "chair": 2.0, "table": 2.0}
# Spiral and random views stay above the horizon and below the pole: from the
# pole a camera looks along the up axis, so its roll would be undefined.
MIN_ELEVATION_DEG, MAX_ELEVATION_DEG = 2.0, 85.0
SPIRAL_TURNS = 3.2

Number = float | int


def look_at(
  position: Float[np.ndarray, "*N 3"],
  target=(0.0, 0.0, 0.0),
  up=(0.0, 0.0, 1.0),
) -> Float[np.ndarray, "*N 4 4"]:
  """Returns the poses of cameras at `position` that look at `target`.

  Args:
    target: point that appears at the centre of each picture.
    up: world direction that points up in each picture.

  Raises:
    UserError: a camera is at its target, or looks straight along `up`.
  """
  position = np.asarray(position, np.float64)
  forward = _unit(np.asarray(target, np.float64) - position)
  right = _unit(np.cross(forward, np.asarray(up, np.float64)))
  down = np.cross(forward, right)
  world_from_cam = np.zeros((*position.shape[:-1], 4, 4))
  world_from_cam[..., :3, :] = np.stack([right, down, forward, position], -1)
  world_from_cam[..., 3, 3] = 1.0
  return world_from_cam


def sphere_points(
  azimuth_deg, elevation_deg, radius: Number
) -> Float[np.ndarray, "*N 3"]:
  """Returns points on a sphere around the origin.

  Args:
    azimuth_deg: angles around the z axis, in degrees; 0 is +x, 90 is +y.
    elevation_deg: angles above the xy plane, in degrees.
    radius: radius of the sphere, in world units.
  """
  azimuth, elevation = np.broadcast_arrays(
    np.radians(azimuth_deg), np.radians(elevation_deg)
  )
  flat = np.cos(elevation)
  return radius * np.stack(
    [flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], -1
  )


def orbit(
  num_views: int, elevation_deg: Number, radius: Number
) -> Float[np.ndarray, "N 4 4"]:
  """Returns the poses of evenly spaced cameras on a circle around the z axis.

  The first camera is at azimuth 0.

  Args:
    elevation_deg: angle of the cameras above the xy plane, in degrees.
    radius: distance of the cameras from the origin.
  """
  azimuth_deg = np.arange(num_views) * 360.0 / num_views
  return look_at(sphere_points(azimuth_deg, elevation_deg, radius))


def srn_spiral(
  num_views: int = 251, radius: Number = 2.0
) -> Float[np.ndarray, "N 4 4"]:
  """Returns poses on a spiral up the hemisphere, like the SRN test cameras.

  The spiral rises evenly from `MIN_ELEVATION_DEG` to `MAX_ELEVATION_DEG` in
  `SPIRAL_TURNS` turns. With fewer views than SRN's 251, the spiral has fewer
  turns, but at least one, so that neighbouring views stay close.

  Args:
    radius: distance of the cameras from the origin.
  """
  turns = SPIRAL_TURNS * min(1.0, max(1 / SPIRAL_TURNS, num_views / 251))
  u = np.linspace(0.0, 1.0, num_views)
  elevation_deg = MIN_ELEVATION_DEG + u * (
    MAX_ELEVATION_DEG - MIN_ELEVATION_DEG
  )
  return look_at(sphere_points(360.0 * turns * u, elevation_deg, radius))


def random_views(
  rng: np.random.Generator, num_views: int, radius: Number
) -> Float[np.ndarray, "N 4 4"]:
  """Draws random camera poses within the elevation range of `srn_spiral`.

  The camera positions are distributed uniformly by area on a sphere.

  Args:
    radius: distance of the cameras from the origin.
  """
  low, high = np.sin(np.radians([MIN_ELEVATION_DEG, MAX_ELEVATION_DEG]))
  # Uniform in z is uniform by area on a sphere (Archimedes' hat-box theorem).
  elevation_deg = np.degrees(np.arcsin(rng.uniform(low, high, num_views)))
  azimuth_deg = rng.uniform(0.0, 360.0, num_views)
  return look_at(sphere_points(azimuth_deg, elevation_deg, radius))


def default_K(resolution: int) -> Float[np.ndarray, "3 3"]:
  """Returns the intrinsics (in pixels) of SRN's cameras, for square images.

  Args:
    resolution: height and width of the images, in pixels.
  """
  return _centred_K(FOCAL_AT_128 * resolution / 128, resolution)


def K_from_fov(
  resolution: int, fov_deg: float | int
) -> Float[np.ndarray, "3 3"]:
  """Returns the intrinsics (in pixels) for a field of view and square images.

  Args:
    resolution: height and width of the images, in pixels.
    fov_deg: angle between the left and the right image edge, in degrees.
  """
  focal = resolution / 2 / math.tan(math.radians(fov_deg) / 2)
  return _centred_K(focal, resolution)


def _centred_K(f: float, resolution: int) -> Float[np.ndarray, "3 3"]:
  c = resolution / 2
  return np.array([[f, 0.0, c], [0.0, f, c], [0.0, 0.0, 1.0]])


def _unit(v: np.ndarray) -> np.ndarray:
  norm = np.linalg.norm(v, axis=-1, keepdims=True)
  if np.any(norm < 1e-6):
    raise UserError(
      "a camera is at its target or looks straight along `up`, so its"
      " orientation is undefined: move it (an elevation of 85 degrees works, 90"
      " does not) or choose another `up`."
    )
  return v / norm
