# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Renders a trimesh mesh from a pinhole camera: embree rays, white background.

  render = Renderer(mesh)
  image_u8 = render(world_from_cam, K, resolution=64)

The light stands still in the world: a sun, a weak fill light from the other
side and a sky that is brighter above, so that neighbouring faces differ.
Surfaces are diffuse and two-sided and cast no shadows, so the shade of a face
is the same in every picture: it is computed once for each mesh.
"""

import numpy as np
import trimesh
from trimesh.ray.ray_pyembree import RayMeshIntersector

_SUN = np.array([0.35, -0.60, 0.72])
_FILL = np.array([-0.81, 0.51, 0.30])
SAMPLES = 2  # rays per pixel along each axis


class Renderer:
  """Renders one mesh with face colours, vertex colours or a texture.

  Vertex colours and textures are averaged over each face.
  """

  def __init__(self, mesh: trimesh.Trimesh):
    self._rays = RayMeshIntersector(mesh)
    self._normals = np.vstack([mesh.face_normals, np.zeros(3)])
    visual = mesh.visual
    if visual.kind == "texture":
      visual = visual.to_color()
    rgb = visual.face_colors[:, :3] / 255.0
    white = np.ones((1, 3))
    # Row -1, where a ray without a hit points, is the background.
    self._front = np.vstack([rgb * _shade(mesh.face_normals), white])
    self._back = np.vstack([rgb * _shade(-mesh.face_normals), white])

  def __call__(
      self, world_from_cam: np.ndarray, K: np.ndarray, resolution: int
  ) -> np.ndarray:
    """The picture of one camera (OpenCV axes), uint8 [H, W, 3]."""
    dirs = _ray_directions(world_from_cam, K, resolution)
    pos = np.broadcast_to(world_from_cam[:3, 3], dirs.shape)
    face = self._rays.intersects_first(pos, dirs)
    from_behind = np.einsum("nc,nc->n", self._normals[face], dirs) > 0
    rgb = np.where(from_behind[:, None], self._back[face], self._front[face])
    rgb = rgb.reshape(resolution, SAMPLES, resolution, SAMPLES, 3).mean((1, 3))
    return (rgb * 255 + 0.5).astype(np.uint8)


def _shade(normals: np.ndarray) -> np.ndarray:
  """Light [F, 1] that a diffuse surface with these normals sends back."""
  sun = np.maximum(normals @ _SUN, 0)
  fill = np.maximum(normals @ _FILL, 0)
  light = 0.50 + 0.15 * normals[:, 2] + 0.38 * sun + 0.12 * fill
  return np.clip(light, 0, 1)[:, None]


def _ray_directions(world_from_cam, K, resolution: int) -> np.ndarray:
  """World directions of all samples, row by row, float64 [N, 3]."""
  at = (np.arange(resolution * SAMPLES) + 0.5) / SAMPLES
  px = np.stack([*np.meshgrid(at, at), np.ones((at.size, at.size))], -1)
  world_from_px = world_from_cam[:3, :3] @ np.linalg.inv(K)
  dirs = px.reshape(-1, 3) @ world_from_px.T
  return dirs / np.linalg.norm(dirs, axis=-1, keepdims=True)
