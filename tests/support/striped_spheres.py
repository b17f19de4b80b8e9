# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A scene that is known exactly: four striped spheres, ray by ray.

  images_u8, world_from_cam, K = views(num_views=40, size=32)

Diffuse and without shadows: views agree perfectly, unless a test spoils them.
Cameras are those of SRN's cars: at 1.3 from the origin, f = 131.25 at 128.
"""

import numpy as np

from threedim_jax.views import camera_paths

DISTANCE = 1.3
CENTERS = np.array(
  [[0.2, 0.1, 0.05], [-0.2, 0.15, -0.1], [0.0, -0.25, 0.1], [0.05, 0.05, -0.3]]
)
RADII = np.array([0.18, 0.16, 0.17, 0.12])
COLORS = np.array(
  [  # two of each sphere, in stripes
    [[0.9, 0.2, 0.1], [0.95, 0.8, 0.2]],
    [[0.1, 0.3, 0.8], [0.3, 0.8, 0.9]],
    [[0.15, 0.6, 0.2], [0.7, 0.2, 0.6]],
    [[0.3, 0.3, 0.3], [0.9, 0.5, 0.1]],
  ]
)
STRIPES = 5.0  # per unit along a sphere's own axis
AXES = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 1, 0]]) / np.array(
  [[1], [1], [1], [np.sqrt(2)]]
)


def cameras(num_views: int, size: int) -> tuple[np.ndarray, np.ndarray]:
  """Spread over the sphere by the golden angle, in mixed order."""
  i = np.random.default_rng(0).permutation(num_views)
  z = 0.9 * (1 - 2 * (i + 0.5) / num_views)
  angle = i * np.pi * (3 - np.sqrt(5))
  ring = np.sqrt(1 - z**2)
  eyes = DISTANCE * np.stack(
    [ring * np.cos(angle), ring * np.sin(angle), z], -1
  )
  poses = np.stack([camera_paths.look_at(eye, np.zeros(3)) for eye in eyes])
  f = 131.25 * size / 128
  K = np.array([[f, 0, size / 2], [0, f, size / 2], [0, 0, 1]])
  return np.float32(poses), np.float32(np.tile(K, (num_views, 1, 1)))


def trace(origin: np.ndarray, dirs: np.ndarray) -> np.ndarray:
  """Colours [N, 3] along unit directions [N, 3]; white where nothing is."""
  offset = origin - CENTERS
  b = dirs @ offset.T
  c = np.sum(offset**2, -1) - RADII**2
  with np.errstate(invalid="ignore"):
    t = -b - np.sqrt(b**2 - c)
  t = np.where(np.isnan(t), np.inf, t)
  nearest = t.argmin(1)
  hit = np.isfinite(t.min(1))
  color = np.ones((len(dirs), 3))
  points = origin + t.min(1)[hit, None] * dirs[hit]
  of = nearest[hit]
  along = np.sum((points - CENTERS[of]) * AXES[of], -1)
  stripe = np.floor(along * STRIPES).astype(int) % 2
  color[hit] = COLORS[of, stripe]
  return color


def render(pose: np.ndarray, K: np.ndarray, size: int, samples: int = 4):
  """uint8 [size, size, 3], mean of samples x samples rays a pixel."""
  place = (np.arange(size * samples) + 0.5) / samples
  x, y = np.meshgrid(place, place)
  dirs = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(K).T
  dirs = (dirs @ pose[:3, :3].T).reshape(-1, 3)
  dirs /= np.linalg.norm(dirs, axis=-1, keepdims=True)
  color = trace(pose[:3, 3], dirs).reshape(size, samples, size, samples, 3)
  return np.round(color.mean((1, 3)) * 255).astype(np.uint8)


def views(num_views: int = 40, size: int = 32):
  poses, K = cameras(num_views, size)
  images = [render(p, k, size) for p, k in zip(poses, K, strict=True)]
  return np.stack(images), poses, K


# ------------------------------------------------- ways to disagree


def _rotation(vector: np.ndarray) -> np.ndarray:
  """Rodrigues: about `vector`, by its length in radians."""
  angle = np.linalg.norm(vector)
  x, y, z = vector / angle
  cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
  return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def jitter_hue(images_u8: np.ndarray, sd: float) -> np.ndarray:
  """Every view's colours turned about the grey axis by sd * N(0, 1) turns."""
  draws = np.random.default_rng(1).standard_normal(len(images_u8))
  grey = np.ones(3) / np.sqrt(3)
  turned = [
    image @ _rotation(grey * 2 * np.pi * sd * draw).T
    for image, draw in zip(images_u8 / 255, draws, strict=True)
  ]
  return np.round(np.clip(turned, 0, 1) * 255).astype(np.uint8)


def jitter_pose(poses: np.ndarray, sd_deg: float) -> np.ndarray:
  """Every camera turned about the origin by a vector of sd * N(0, 1)."""
  draws = np.random.default_rng(2).standard_normal((len(poses), 3))
  spoiled = poses.copy()
  for pose, draw in zip(spoiled, draws, strict=True):
    turn = _rotation(np.radians(sd_deg) * draw)
    pose[:3] = turn @ pose[:3]
  return spoiled
