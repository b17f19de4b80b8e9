# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads folders of pictures with camera poses, as in NeRF and SRN data sets.

  posed = read_posed_images("lego", size=64, num_views=100)  # a `PosedViews`
  posed.images_u8, posed.world_from_cam, posed.K

A folder must have one of two layouts:

  NSVF, SRN        rgb/*.png (.jpg, .tif, ...), pose/*.txt, intrinsics.txt
  transforms.json  from nerfstudio, instant-ngp or Blender. If it is missing:
                   transforms_train.json, else _val.json, else _test.json

The returned pictures are 8-bit sRGB over white, without lens distortion. They
are sorted by name in natural order (r_2 before r_10). Cameras have OpenCV axes,
and their intrinsics K are in pixels of the returned pictures. Do not import JAX
here, because the workers that build data sets import this module.
"""

from collections.abc import Sequence
import os
import sys

from etils import epath
import numpy as np

from threedim_jax.inputs.posed_images import pictures, pose_folder, transforms
from threedim_jax.inputs.posed_images.frames import Frame, fit_K
from threedim_jax.inputs.posed_images.undistort import undistort
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir.protocol import spread


def read_posed_images(
  folder: str | os.PathLike,
  *,
  size: int | None = None,
  num_views: int | None = None,
) -> PosedViews:
  """Reads a folder's pictures and cameras; warns if K had to be scaled.

  Args:
    folder: a folder in one of the two layouts above.
    size: height and width of the returned pictures, in pixels. White margins
      make each picture square, then area averaging shrinks it to `size`. None
      keeps the original size and shape.
    num_views: read at most this many views, evenly spaced in natural order;
      None reads all views.

  Raises:
    UserError: the layout or the lens is unknown, a picture or a pose is missing
      or damaged, or a picture is smaller than `size`.
  """
  frames = list_frames(folder)
  posed, warnings = read_frames(spread(frames, num_views or len(frames)), size)
  for text in warnings:
    print(f"warning: {text}", file=sys.stderr)
  return posed


def list_frames(folder: str | os.PathLike) -> list[Frame]:
  """Lists a folder's views in natural order, without decoding the pictures.

  Raises:
    UserError: there is no such folder, or its layout is unknown.
  """
  folder = epath.Path(folder)
  if not folder.is_dir():
    raise UserError(f"There is no folder {folder}.")
  if transforms.find(folder):
    return transforms.list_frames(folder)
  if pose_folder.is_one(folder):
    return pose_folder.list_frames(folder)
  found = sorted(p.name for p in folder.iterdir())[:8]
  raise UserError(
    f"{folder} is not a folder of posed images in a known format. Looked for"
    " transforms.json (or transforms_train.json, _val, _test), and for rgb/"
    f" with pose/ and intrinsics.txt (NSVF, SRN); it holds {found}."
  )


def read_frames(
  frames: Sequence[Frame], size: int | None
) -> tuple[PosedViews, list[str]]:
  """Decodes the pictures of `frames`, and resizes each one along with its K.

  Args:
    size: height and width of the returned pictures, in pixels; None keeps the
      original size.

  Returns:
    (views, warnings). Each warning names a file with intrinsics K that were for
    another picture size and were therefore scaled. No warning is repeated.

  Raises:
    UserError: a picture is damaged or smaller than `size`, or `size` is None
      and the pictures differ in size.
  """
  images_u8, Ks, warnings = [], [], []
  with progress.bar("read posed images", len(frames), unit="picture") as bar:
    for frame in frames:
      rgb = pictures.over_white(pictures.open_posed(frame.path))
      if frame.mask:
        alpha = pictures.read_mask(frame.mask, rgb.shape[:2])
        rgb = pictures.blend_over_white(rgb, alpha)
      K, warning = fit_K(frame, rgb.shape[:2])
      if frame.distortion:
        rgb, K = undistort(rgb, K, frame.distortion, str(frame.path))
      if warning and warning not in warnings:
        warnings.append(warning)
      side = max(rgb.shape[:2])
      if size is not None and side < size:
        raise UserError(
          f"{frame.path} has {rgb.shape[0]} x {rgb.shape[1]} pixels: pictures"
          f" are not enlarged, so ask for a size of at most {side}."
        )
      image_u8, K = pictures.fit(rgb, K, size)
      if images_u8 and image_u8.shape != images_u8[0].shape:
        raise UserError(
          f"{frame.path} has {rgb.shape[0]} x {rgb.shape[1]} pixels, others"
          f" have {images_u8[0].shape[0]} x {images_u8[0].shape[1]}: name a"
          " size to bring them to."
        )
      images_u8.append(image_u8)
      Ks.append(K)
      bar.advance()
  poses = np.stack([frame.world_from_cam for frame in frames])
  return PosedViews(np.stack(images_u8), poses, np.stack(Ks)), warnings
