# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Renders a trimesh mesh from a pinhole camera: embree rays, white background.

  render = Renderer(mesh)
  image_u8 = render(world_from_cam, K, resolution=64)

The light stands still in the world: a sun, a weaker fill light from the other
side and a sky that is brighter above, so that neighbouring faces differ.
Surfaces are diffuse and two-sided and cast no shadows, so a face has the same
shade in every picture, which is computed once for the mesh.
"""

from einops import rearrange, reduce
import numpy as np
import trimesh
from trimesh.ray.ray_pyembree import RayMeshIntersector

_SUN = np.array([0.35, -0.60, 0.72])
_FILL = np.array([-0.81, 0.51, 0.30])
_RAYS_AT_A_TIME = 8192  # more of them fall out of the processor's cache


class Renderer:
  """Renders one mesh with face colours, vertex colours or a texture.

  A face has one colour: vertex colours and textures are averaged over it.
  """

  def __init__(self, mesh: trimesh.Trimesh):
    self._rays = RayMeshIntersector(mesh)
    visual = mesh.visual
    if visual.kind == "texture":
      visual = visual.to_color()
    rgb = visual.face_colors[:, :3] / 255.0
    normals = mesh.face_normals
    # Row -1 is what a ray that hits nothing gets: the background.
    self._normals = np.vstack([normals, np.zeros(3)])
    self._front = np.vstack([rgb * _light(normals), np.ones(3)])
    self._back = np.vstack([rgb * _light(-normals), np.ones(3)])

  def __call__(
    self,
    world_from_cam: np.ndarray,
    K: np.ndarray,
    resolution: int,
    samples: int = 2,
  ) -> np.ndarray:
    """The picture of one camera (OpenCV axes), uint8 [H, W, 3].

    A pixel is the mean of `samples` x `samples` rays.
    """
    rows = max(1, _RAYS_AT_A_TIME // (resolution * samples**2))
    bands = np.split(np.arange(resolution), range(rows, resolution, rows))
    world_from_px = world_from_cam[:3, :3] @ np.linalg.inv(K)
    x = _sample_places(np.arange(resolution), samples)
    image = []
    for band in bands:
      px = np.stack(np.meshgrid(x, _sample_places(band, samples)), -1)
      px = rearrange(px, "h w c -> (h w) c")
      dirs = px @ world_from_px[:, :2].T + world_from_px[:, 2]
      rgb = self._trace(world_from_cam[:3, 3], dirs)
      image.append(
        reduce(
          rgb,
          "(h sh w sw) c -> h w c",
          "mean",
          h=len(band),
          sh=samples,
          sw=samples,
        )
      )
    return (np.concatenate(image) * 255 + 0.5).astype(np.uint8)

  def _trace(self, pos: np.ndarray, dirs: np.ndarray) -> np.ndarray:
    """Colours [N, 3] that rays from `pos` [3] along `dirs` [N, 3] meet."""
    face = self._rays.intersects_first(np.broadcast_to(pos, dirs.shape), dirs)
    behind = np.einsum("nc,nc->n", self._normals[face], dirs) > 0
    return np.where(behind[:, None], self._back[face], self._front[face])


def _light(normals: np.ndarray) -> np.ndarray:
  """The part [F, 1] of the light that diffuse faces send back."""
  sun = np.maximum(normals @ _SUN, 0)
  fill = np.maximum(normals @ _FILL, 0)
  light = 0.56 + 0.12 * normals[:, 2] + 0.36 * sun + 0.16 * fill
  return np.clip(light, 0, 1)[:, None]


def _sample_places(pixels: np.ndarray, samples: int) -> np.ndarray:
  """Coordinates of the rays through `pixels`, whose centres are at +0.5."""
  inside = (np.arange(samples) + 0.5) / samples
  return (pixels[:, None] + inside).ravel()
