# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes camera paths: orbits, the SRN test spiral and random views.

  world_from_cam = camera_paths.orbit(24, elevation_deg=20, radius=2.0)
  K = camera_paths.default_K(resolution=64)

Every camera looks at the origin of a world whose z axis points up. Camera axes
are OpenCV's (x right, y down, z forward). Camera-to-world poses are float64
arrays [N, 4, 4]. This module uses NumPy only, because rendering workers must
not import JAX.
"""

import math

from jaxtyping import Float
import numpy as np

from threedim_jax.runtime.errors import UserError

# The camera of the SRN renderings: 131.25 px at 128 x 128, about 52 degrees.
FOCAL_AT_128 = 131.25
FOV_DEG = float(np.degrees(2 * np.arctan(64 / FOCAL_AT_128)))
# Converts OpenGL axes (y up, z backward) to OpenCV's and back.
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
  """Returns world_from_cam of cameras at `position` that look at `target`.

  Args:
    position: positions of the cameras.
    target: the point in the middle of the pictures.
    up: the direction that points up in the pictures.

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
  """Returns poses of cameras on a circle around the z axis, evenly spaced.

  The first camera is at azimuth 0.

  Args:
    num_views: number of cameras, N.
    elevation_deg: angle of the cameras above the xy plane, in degrees.
    radius: distance of the cameras from the origin.
  """
  azimuth_deg = np.arange(num_views) * 360.0 / num_views
  return look_at(sphere_points(azimuth_deg, elevation_deg, radius))


def srn_spiral(
  num_views: int = 251, radius: Number = 2.0
) -> Float[np.ndarray, "N 4 4"]:
  """Returns poses on a spiral up the hemisphere, like the SRN test cameras.

  The elevation rises from `MIN_ELEVATION_DEG` to `MAX_ELEVATION_DEG` in
  proportion to the azimuth, in `SPIRAL_TURNS` turns. A spiral with fewer views
  than SRN's 251 has fewer turns, but at least one, so that neighbouring views
  stay close.

  Args:
    num_views: number of cameras, N.
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
  """Draws random camera poses between the lowest and highest SRN elevation.

  The positions are uniform by area on the part of a sphere that `srn_spiral`
  covers.

  Args:
    rng: random generator.
    num_views: number of cameras, N.
    radius: distance of the cameras from the origin.
  """
  low, high = np.sin(np.radians([MIN_ELEVATION_DEG, MAX_ELEVATION_DEG]))
  # Uniform in z is uniform by area on a sphere (Archimedes' hat-box theorem).
  elevation_deg = np.degrees(np.arcsin(rng.uniform(low, high, num_views)))
  azimuth_deg = rng.uniform(0.0, 360.0, num_views)
  return look_at(sphere_points(azimuth_deg, elevation_deg, radius))


def default_K(resolution: int) -> Float[np.ndarray, "3 3"]:
  """Returns the intrinsic matrix of the SRN camera for a square image.

  Args:
    resolution: height and width of the image, in pixels.
  """
  return _centred_K(FOCAL_AT_128 * resolution / 128, resolution)


def K_from_fov(
  resolution: int, fov_deg: float | int
) -> Float[np.ndarray, "3 3"]:
  """Returns the intrinsic matrix of a camera with this field of view.

  Args:
    resolution: height and width of the square image, in pixels.
    fov_deg: angle between the left and the right edge, in degrees.
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
