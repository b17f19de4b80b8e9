# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Photos with known masks: rendered objects before a wall, with their shadows.

  image_u8, mask = composite("chair", 3, Scene(shadow=0.4, falloff=0.2))

The shadow is the object's own: its corners are projected along the light onto
the plane that it stands on, and the result is blurred, as a lamp of some size
does. Light falls off quadratically from one corner of the picture.
"""

import dataclasses
import functools

import cv2
import numpy as np
from rendering import Renderer
from shapes.objects import build_mesh

from threedim_jax.views import camera_paths

SIDE = 320


@dataclasses.dataclass(frozen=True)
class Scene:
  """Colour of the wall (0 .. 255) and what happens to its light.

  Attributes:
    falloff: how much darker the farthest corner is, 0 .. 1.
    shadow: how much of the light the darkest shadow takes, 0 .. 1.
    blur: of the shadow's edge, in parts of the picture's side.
    noise: standard deviation in grey levels.
  """

  wall: tuple[int, int, int] = (225, 225, 225)
  falloff: float = 0.0
  shadow: float = 0.0
  blur: float = 0.03
  noise: float = 0.0
  light: tuple[float, float, float] = (0.5, -0.4, 1.0)


def composite(kind: str, index: int, scene: Scene, azimuth: float = 35.0):
  """(uint8 [S, S, 3], the object's mask bool [S, S])."""
  rgb, coverage, shadow = _layers(kind, index, scene.light, azimuth)
  shadow = cv2.GaussianBlur(shadow, None, scene.blur * SIDE)
  y, x = np.indices((SIDE, SIDE)) / SIDE
  light = 1 - scene.falloff * ((x**2 + y**2) / 2)
  lit = (light * (1 - scene.shadow * shadow))[..., None]
  wall = np.float32(scene.wall) * lit
  image = rgb + wall * (1 - coverage[..., None])
  image += np.random.default_rng(index).normal(0, scene.noise, image.shape)
  return np.uint8(image.clip(0, 255) + 0.5), coverage > 0.5


@functools.cache
def _layers(kind, index, light, azimuth):
  """The object's colours times its coverage, coverage, and its shadow."""
  mesh = build_mesh(kind, 0, "train", index)
  place = camera_paths.sphere_points(azimuth, 25.0, camera_paths.RADIUS[kind])
  pose, K = camera_paths.look_at(place), camera_paths.default_K(SIDE)
  over_white = np.float32(Renderer(mesh)(pose, K, SIDE))
  coverage = _coverage(mesh, pose, K)
  floor = mesh.vertices[:, 2].min()
  flat = mesh.copy()
  height = (mesh.vertices[:, 2] - floor)[:, None]
  flat.vertices = mesh.vertices - np.array(light) * height / light[2]
  rgb = over_white - 255 * (1 - coverage[..., None])
  return rgb, coverage, _coverage(flat, pose, K)


def _coverage(mesh, pose, K):
  """How much of each pixel the mesh covers, 0 .. 1."""
  mesh = mesh.copy()
  mesh.visual.face_colors = np.tile([0, 0, 0, 255], (len(mesh.faces), 1))
  return 1 - np.float32(Renderer(mesh)(pose, K, SIDE)[..., 0]) / 255
