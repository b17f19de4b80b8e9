# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pinhole cameras and the rays through their pixels.

Camera axes follow OpenCV (x right, y down, z forward), camera poses are
`world_from_cam`, the intrinsic matrix K is in pixels, and pixel centres lie at
+0.5. The readers of data sets and folders convert all other conventions to
these.

  rays = rays_from_camera(camera, hw=(64, 64))   # rays.pos, rays.dir
"""

import functools
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# By default accelerators round the factors of a matrix product to 8 or 11 bits.
# This rounding would turn rays by more than a pixel.
_PRECISION = jax.lax.Precision.HIGHEST


# `jax.tree.map` also calls the constructor with NumPy arrays, shapes or
# shardings. The type checks that run under pytest would refuse these.
@no_type_check
@flax.struct.dataclass
class Camera:
  """A batch of pinhole cameras.

  Attributes:
    world_from_cam: camera-to-world poses, rigid transforms in world units.
    K: intrinsic matrices [[fx, skew, cx], [0, fy, cy], [0, 0, 1]], in pixels.
  """

  world_from_cam: Float[Array, "*b 4 4"]
  K: Float[Array, "*b 3 3"]


@no_type_check
@flax.struct.dataclass
class Rays:
  """The rays through the pixel centres of pictures.

  Attributes:
    pos: origin of each ray, which is its camera's position, in world units.
    dir: direction of each ray, a unit vector in world axes.
  """

  pos: Float[Array, "*b H W 3"]
  dir: Float[Array, "*b H W 3"]


def px_centers(hw: tuple[int, int]) -> Float[Array, "H W 2"]:
  """Returns (x, y) of every pixel centre in pixels; the first is (0.5, 0.5)."""
  h, w = hw
  x, y = jnp.meshgrid(jnp.arange(w) + 0.5, jnp.arange(h) + 0.5)
  return jnp.stack([x, y], axis=-1)


def cam_from_px(
  px: Float[Array, "*b 2"], K: Float[Array, "3 3"]
) -> Float[Array, "*b 3"]:
  """Returns the direction from a camera through each pixel position.

  Args:
    px: positions (x, y) in pixels.

  Returns:
    Directions in camera axes, with z = 1.
  """
  x = (px[..., 0] - K[0, 2] - K[0, 1] * (px[..., 1] - K[1, 2]) / K[1, 1]) / (
    K[0, 0]
  )
  y = (px[..., 1] - K[1, 2]) / K[1, 1]
  return jnp.stack([x, y, jnp.ones_like(x)], axis=-1)


def _rays_of_one(camera: Camera, hw: tuple[int, int]) -> Rays:
  rotation = camera.world_from_cam[:3, :3]
  direction = jnp.einsum(
    "ij,hwj->hwi",
    rotation,
    cam_from_px(px_centers(hw), camera.K),
    precision=_PRECISION,
  )
  direction /= jnp.linalg.norm(direction, axis=-1, keepdims=True)
  position = jnp.broadcast_to(camera.world_from_cam[:3, 3], direction.shape)
  return Rays(pos=position, dir=direction)


def rays_from_camera(camera: Camera, hw: tuple[int, int]) -> Rays:
  """Computes the rays through all pixel centres of each camera.

  Args:
    camera: batch of cameras, of any shape [*b].
    hw: height and width of the pictures, in pixels.
  """
  rays_of = functools.partial(_rays_of_one, hw=hw)
  for _ in range(camera.K.ndim - 2):
    rays_of = jax.vmap(rays_of)
  return rays_of(camera)


def scale_world(camera: Camera, factor: Float[Array, "*b"]) -> Camera:
  """Moves each camera as if its whole scene were scaled by a factor.

  The camera's distance from the origin is multiplied by the factor. A picture
  of the scaled scene from the new camera is the same as before.

  Args:
    camera: batch of cameras, of any shape [*b].
  """
  pose = camera.world_from_cam
  factor = factor[..., None]
  return camera.replace(
    world_from_cam=pose.at[..., :3, 3].set(pose[..., :3, 3] * factor)
  )


def scale_to_distance(
  given: Camera, wanted: Camera, distance: float | int
) -> tuple[Camera, Camera]:
  """Scales each object's world to the camera distance of the training data.

  Each of the B objects has its own world, with the object at the origin. After
  scaling, the first known view's camera lies `distance` from the origin.

  Args:
    given: [B, V] cameras of the known views.
    wanted: [B, N] cameras of the views to generate, of the same objects.
    distance: distance of the training data's cameras from the origin.

  Returns:
    `given` and `wanted` in the scaled worlds.
  """
  position = given.world_from_cam[:, 0, :3, 3]
  factor = distance / jnp.linalg.norm(position, axis=-1, keepdims=True)

  def scale(cam):
    return scale_world(cam, jnp.broadcast_to(factor, cam.K.shape[:2]))

  return scale(given), scale(wanted)


def relative_to_first(camera: Camera) -> Camera:
  """Expresses camera poses relative to the first camera of each group.

  Args:
    camera: groups of F cameras, [*b, F]. The first pose of each group becomes
      the identity.
  """
  pose = camera.world_from_cam
  rotation, position = pose[..., :1, :3, :3], pose[..., :1, :3, 3]
  turned = jnp.einsum(
    "...ji,...jk->...ik", rotation, pose[..., :3, :3], precision=_PRECISION
  )
  moved = jnp.einsum(
    "...ji,...j->...i",
    rotation,
    pose[..., :3, 3] - position,
    precision=_PRECISION,
  )
  relative = jnp.concatenate([turned, moved[..., None]], axis=-1)
  last_row = pose[..., 3:, :]  # 0 0 0 1
  return camera.replace(
    world_from_cam=jnp.concatenate([relative, last_row], axis=-2)
  )


def resize_camera(camera: Camera, scale: float) -> Camera:
  """Adapts the intrinsic matrix K of each camera to resized pictures.

  To resize a picture along with K, see `inputs.posed_images.pictures`.

  Args:
    camera: cameras of the pictures before resizing.
    scale: new height (or width) of the pictures divided by the old one.
  """
  return camera.replace(K=camera.K.at[..., :2, :].multiply(scale))
