# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures how well an object's pictures match their cameras. Uses no JAX.

  masks, scale = small_masks(images_u8)  # the silhouettes in all views
  iou, sphere = explain(masks, world_from_cam, K * scale)

In each picture, the pixels that show the object form its silhouette. The
object's visual hull is the largest solid that lies inside the silhouettes of
all views (Laurentini, "The visual hull concept for silhouette-based image
understanding", 1994). If the cameras are right, the hull fills the silhouettes.
If the cameras are wrong, each view cuts off parts of the hull that other views
need, so the hull leaves parts of the silhouettes empty. The IoU (intersection
over union) of silhouette and projected hull measures how well the hull fills
the silhouette.
"""

import dataclasses

import cv2
from jaxtyping import Bool, Float, UInt8
import numpy as np

from threedim_jax.views.lines import nearest_point

NOT_WHITE = 250  # darker grey levels are foreground; leaves room for JPEG noise
MASK_SIDE = 64  # pixels: enough to tell cameras apart
GRID_SIDE = 32  # voxels
_MARGIN = 1.1  # enlarges the sphere: few views underestimate an object's depth

Masks = Bool[np.ndarray, "V H W"]
Poses = Float[np.ndarray, "V 4 4"]
Ks = Float[np.ndarray, "V 3 3"]


@dataclasses.dataclass(frozen=True)
class Sphere:
  """An object's bounding sphere in world units; radius 0 if none was found."""

  center: Float[np.ndarray, "3"]
  radius: float


@dataclasses.dataclass(frozen=True)
class Hull:
  """The surface of an object's visual hull, made of cubic voxels.

  Attributes:
    points: centres of the voxels, in world units.
    side: length of a voxel's side, in world units.
  """

  points: Float[np.ndarray, "P 3"]
  side: float


def foreground(images_u8: UInt8[np.ndarray, "V H W 3"]) -> Masks:
  """Returns masks of the pixels that show the object.

  White pixels connected to the picture's border are background; all other
  pixels show the object. A white area inside the object may be a highlight or a
  real hole. Including a hole makes the visual hull only a little too large, but
  leaving out a highlight would make the hull wrong.
  """
  masks = []
  for image_u8 in images_u8:
    # A frame of white pixels connects all outer background with the corner.
    white = np.pad((image_u8 >= NOT_WHITE).all(-1), 1, constant_values=True)
    flooded = white.astype(np.uint8)
    cv2.floodFill(flooded, None, (0, 0), 2)
    masks.append(flooded[1:-1, 1:-1] != 2)
  return np.stack(masks)


def small_masks(
  images_u8: UInt8[np.ndarray, "V H W 3"],
) -> tuple[Masks, Float[np.ndarray, "3 1"]]:
  """Returns low-resolution silhouettes, and the factor that adapts K to them.

  A pixel of a small silhouette is True if any original pixel inside it shows
  the object. Therefore the visual hull always contains the object.

  Returns:
    (silhouettes with at most `MASK_SIDE` pixels per side, scale). The
    intrinsics for these silhouettes are `K * scale`.
  """
  masks = foreground(images_u8)
  h, w = masks.shape[1:]
  scale = MASK_SIDE / max(h, w)
  if scale >= 1:
    return masks, np.ones((3, 1))
  size = (max(1, round(w * scale)), max(1, round(h * scale)))
  small = [
    cv2.resize(m.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    for m in masks
  ]
  return np.stack(small), np.array([[size[0] / w], [size[1] / h], [1.0]])


def project(
  points: Float[np.ndarray, "P 3"],
  world_from_cam: Float[np.ndarray, "4 4"],
  K: Float[np.ndarray, "3 3"],
) -> tuple[Float[np.ndarray, "P 2"], Float[np.ndarray, " P"]]:
  """Projects world points into a view.

  Returns:
    (pixel positions (x, y), depths in world units). A position is nan if its
    depth is not positive.
  """
  px_from_world = K @ world_from_cam[:3, :3].T
  offset = px_from_world @ world_from_cam[:3, 3]
  x, y, depth = px_from_world @ points.T - offset[:, None]
  z = np.where(depth > 0, depth, np.nan)
  return np.stack([x / z, y / z], 1), depth


def bounding_sphere(masks: Masks, world_from_cam: Poses, K: Ks) -> Sphere:
  """Estimates a sphere around the object from its silhouettes.

  In each view, the mean direction of the rays through the silhouette points at
  the object's middle. The sphere's centre is the point nearest to the mean rays
  of all views. The radius is large enough to cover every silhouette. Every
  silhouette must have at least one True pixel.
  """
  rays = [
    _ray_dirs(np.argwhere(m)[:, ::-1] + 0.5, pose, k)
    for m, pose, k in zip(masks, world_from_cam, K, strict=True)
  ]
  mean = np.stack([r.mean(0) / np.linalg.norm(r.mean(0)) for r in rays])
  pos = world_from_cam[:, :3, 3]
  center, _ = nearest_point(pos, mean)
  to_center = center - pos
  distance = np.linalg.norm(to_center, axis=1)
  radius = 0.0
  for dirs, to, d in zip(rays, to_center, distance, strict=True):
    if d > 0:
      cosine = (dirs @ to).min() / d
      radius = max(radius, d * np.sqrt(max(0.0, 1 - max(0.0, cosine) ** 2)))
  return Sphere(center, float(radius * _MARGIN))


def carve(masks: Masks, world_from_cam: Poses, K: Ks, sphere: Sphere) -> Hull:
  """Computes the surface of the visual hull on a grid of voxels.

  The grid fills the cube around `sphere`. A voxel is removed if it projects
  onto background in any view or lies behind a camera. If a voxel projects
  outside a picture, the nearest pixel of the picture's border decides instead,
  because an object that the border cuts off continues beyond the border.
  """
  n = GRID_SIDE
  h, w = masks.shape[1:]
  line = (np.arange(n) + 0.5) / n * 2 - 1
  grid = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1)
  points = sphere.center + sphere.radius * grid.reshape(-1, 3)
  alive = np.arange(len(points))
  # Views far apart come first, because together they remove most voxels.
  stride = max(1, len(masks) // 4)
  for v in np.argsort(np.arange(len(masks)) % stride, kind="stable"):
    px, depth = project(points[alive], world_from_cam[v], K[v])
    front = depth > 0
    alive, px = alive[front], px[front]
    px = np.clip(np.floor(px), 0, [w - 1, h - 1]).astype(int)
    alive = alive[masks[v][px[:, 1], px[:, 0]]]
  solid = np.zeros(n**3, bool)
  solid[alive] = True
  solid = np.pad(solid.reshape(n, n, n), 1)
  inside = solid.copy()
  for axis in range(3):
    inside &= np.roll(solid, 1, axis) & np.roll(solid, -1, axis)
  surface = (solid & ~inside)[1:-1, 1:-1, 1:-1].ravel()
  return Hull(points[surface], 2 * sphere.radius / n)


def agreement(
  hull: Hull, masks: Masks, world_from_cam: Poses, K: Ks
) -> Float[np.ndarray, " V"]:
  """Returns the IoU of silhouette and projected hull in each view."""
  h, w = masks.shape[1:]
  eighths = np.stack(np.meshgrid(*[[-0.25, 0.25]] * 3), -1).reshape(8, 3)
  points = hull.points[:, None] + hull.side * eighths
  points = points.reshape(-1, 3)
  iou = np.zeros(len(masks))
  for v, mask in enumerate(masks):
    px, _ = project(points, world_from_cam[v], K[v])
    px = np.floor(px[((px >= 0) & (px < [w, h])).all(1)]).astype(int)
    drawn = np.zeros((h, w), bool)
    drawn[px[:, 1], px[:, 0]] = True
    iou[v] = (drawn & mask).sum() / max(1, (drawn | mask).sum())
  return iou


def explain(masks: Masks, world_from_cam: Poses, K: Ks) -> tuple[float, Sphere]:
  """Measures how well a visual hull fits an object's silhouettes.

  Returns:
    (IoU of silhouettes and projected hull, averaged over the views; sphere
    around the hull). If the hull is empty, the sphere comes from
    `bounding_sphere`.
  """
  sphere = bounding_sphere(masks, world_from_cam, K)
  hull = carve(masks, world_from_cam, K, sphere)
  iou = agreement(hull, masks, world_from_cam, K).mean()
  return float(iou), hull_sphere(hull) if len(hull.points) else sphere


def hull_sphere(hull: Hull) -> Sphere:
  """Returns a sphere that encloses a hull. The hull must not be empty."""
  low, high = hull.points.min(0), hull.points.max(0)
  center = (low + high) / 2
  radius = np.linalg.norm(hull.points - center, axis=1).max()
  return Sphere(center, float(radius + hull.side / 2))


def _ray_dirs(px, world_from_cam, K) -> Float[np.ndarray, "P 3"]:
  """Returns unit vectors along the rays through pixels, in world axes.

  Args:
    px: pixel positions [P, 2].
    world_from_cam: camera-to-world pose [4, 4].
    K: intrinsics [3, 3].
  """
  cam = np.linalg.solve(K, np.column_stack([px, np.ones(len(px))]).T)
  dirs = (world_from_cam[:3, :3] @ cam).T
  return dirs / np.linalg.norm(dirs, axis=1, keepdims=True)
