# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Renders an object on white with the ray tracer embree.

  render = Renderer(mesh)
  image_u8 = render(world_from_cam, K, resolution=64)
  records = render_records(render, world_from_cam, K, 64, object_id="chair_0")

The lights do not move with the camera: a sun, a weaker fill light from the
other side, and a sky that is brighter above. So neighbouring faces differ in
shade. Surfaces are diffuse, both sides of a face are lit in the same way, and
nothing casts a shadow. So a face has the same shade in every picture, and the
shade is computed only once.
"""

from collections.abc import Sequence

from einops import rearrange, reduce
import numpy as np
from surfaces import Paint, Part, part_of
import trimesh
from visible_faces import VisibleFaces

from threedim_jax.views.png import encode_png

_SUN = np.array([0.35, -0.60, 0.72])
_FILL = np.array([-0.81, 0.51, 0.30])
_RAYS_AT_A_TIME = 8192  # more do not fit in the processor's cache


class Renderer:
  """Renders one object: a trimesh mesh, or parts as in `surfaces.py`.

  If faces of parts coincide, the face that is turned to the camera is shown
  (see `visible_faces.py`). A trimesh mesh must not have coincident faces.
  """

  def __init__(self, mesh: trimesh.Trimesh | Sequence[Part]):
    is_mesh = isinstance(mesh, trimesh.Trimesh)
    parts = [part_of(mesh)] if is_mesh else mesh
    self._paint = Paint(parts)
    triangles = np.concatenate([p.triangles for p in parts])
    self._visible = VisibleFaces(self._paint, triangles, not is_mesh)
    normals = self._visible.normals[:-1]
    self._light = {
      False: np.vstack([_light(normals), np.ones(1)]),
      True: np.vstack([_light(-normals), np.ones(1)]),
    }
    self._flat = None
    if self._paint.flat:
      self._flat = {
        behind: np.vstack([self._paint.flat_colors(light[:-1]), np.ones(3)])
        for behind, light in self._light.items()
      }

  def __call__(
    self,
    world_from_cam: np.ndarray,
    K: np.ndarray,
    resolution: int,
    samples: int = 2,
  ) -> np.ndarray:
    """Renders the picture that one camera takes, uint8 [R, R, 3].

    Args:
      world_from_cam: [4, 4], OpenCV axes.
      K: [3, 3], in pixels of the picture.
      resolution: R, its height and width.
      samples: a pixel is the mean of `samples` x `samples` rays.
    """
    rows = max(1, _RAYS_AT_A_TIME // (resolution * samples**2))
    bands = np.split(np.arange(resolution), range(rows, resolution, rows))
    world_from_px = world_from_cam[:3, :3] @ np.linalg.inv(K)
    x = _sample_places(np.arange(resolution), samples)
    pixel = 1 / (samples * K[0, 0])
    image = []
    for band in bands:
      px = np.stack(np.meshgrid(x, _sample_places(band, samples)), -1)
      px = rearrange(px, "h w c -> (h w) c")
      dirs = px @ world_from_px[:, :2].T + world_from_px[:, 2]
      rgb = self._trace(world_from_cam[:3, 3], dirs, pixel)
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

  def _trace(
    self, pos: np.ndarray, dirs: np.ndarray, pixel: float
  ) -> np.ndarray:
    """Returns the colours [N, 3] seen along rays from `pos` along `dirs`."""
    face = self._visible(pos, dirs)
    normals = self._visible.normals[face]
    behind = (np.einsum("nc,nc->n", normals, dirs) > 0)[:, None]
    table = self._flat or self._light
    rgb = np.where(behind, table[True][face], table[False][face])
    if self._flat:
      return rgb
    hit = np.flatnonzero(face >= 0)
    light, rgb = rgb, np.ones((len(face), 3))
    rgb[hit] = self._paint(face[hit], pos, dirs[hit], pixel, light[hit])
    return rgb


def render_records(
  render: Renderer,
  world_from_cam: np.ndarray,
  K: np.ndarray,
  resolution: int,
  object_id: str,
) -> list[dict]:
  """Renders the records of an object's views `world_from_cam` [N, 4, 4]."""
  samples = 3 if resolution <= 32 else 2  # small pictures show jagged edges
  records = []
  # Pictures are rendered with the stored poses, which are float32.
  for view, pose in enumerate(world_from_cam.astype(np.float32)):
    records.append(
      {
        "image": encode_png(render(pose, K, resolution, samples)),
        "world_from_cam": pose,
        "K": K.astype(np.float32),
        "object_id": object_id,
        "view": view,
      }
    )
  return records


def _light(normals: np.ndarray) -> np.ndarray:
  """Returns the fraction [F, 1] of the light that diffuse faces reflect."""
  sun = np.maximum(normals @ _SUN, 0)
  fill = np.maximum(normals @ _FILL, 0)
  light = 0.56 + 0.12 * normals[:, 2] + 0.36 * sun + 0.16 * fill
  return np.clip(light, 0, 1)[:, None]


def _sample_places(pixels: np.ndarray, samples: int) -> np.ndarray:
  """Returns coordinates of the rays through `pixels` (centres at +0.5)."""
  inside = (np.arange(samples) + 0.5) / samples
  return (pixels[:, None] + inside).ravel()
