# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes the records of one SRN object from its files.

  records = read_object(raw, resolution=128)

Pictures with alpha are composited over white. A plain RGB picture of the right
size keeps its bytes. Other pictures are resized by averaging areas, together
with K. Do not import jax or TFDS here: workers import this module.
"""

import pathlib

import cv2
import numpy as np
from PIL import Image
from srn.archive import RawObject

from threedim_jax.inputs.posed_images.pictures import open_picture
from threedim_jax.inputs.posed_images.pose_folder import check_same_views
from threedim_jax.inputs.posed_images.text_files import (
  parse_intrinsics,
  parse_pose,
)
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.png import encode_png


def read_object(raw: RawObject, resolution: int) -> list[dict]:
  """Makes the records of an object; a UserError names the file at fault."""
  if raw.unreadable:
    raise UserError(raw.unreadable)
  stems = _stems(raw)
  source = f"{raw.path}/intrinsics.txt"
  if "intrinsics.txt" not in raw.files:
    raise UserError(f"{source} is missing.")
  intrinsics = parse_intrinsics(raw.files["intrinsics.txt"], source)
  if intrinsics.hw is None:
    raise UserError(f"{source} must end with a line 'height width'.")
  h, w = intrinsics.hw
  if h != w or h < resolution:
    raise UserError(
      f"{source}: the pictures have {h} x {w} pixels; this config needs"
      f" square ones of at least {resolution}."
    )
  K = intrinsics.K.copy()
  K[:2] *= resolution / h  # no shift, because pixel centres lie at +0.5
  records = []
  for view, stem in enumerate(stems):
    rgb, pose = f"rgb/{stem}.png", f"pose/{stem}.txt"
    world_from_cam = parse_pose(raw.files[pose], f"{raw.path}/{pose}")
    if intrinsics.poses_are_cam_from_world:
      world_from_cam = np.linalg.inv(world_from_cam)
    records.append(
      {
        "image": _fit_image(
          raw.files[rgb], f"{raw.path}/{rgb}", intrinsics.hw, resolution
        ),
        "world_from_cam": world_from_cam.astype(np.float32),
        "K": K.astype(np.float32),
        "object_id": raw.object_id,
        "view": view,
      }
    )
  return records


def _stems(raw: RawObject) -> list[str]:
  """Returns the sorted names of the views; each has a picture and a pose."""
  images, poses = (
    {pathlib.PurePath(file).stem for file in raw.files if file.startswith(name)}
    for name in ("rgb/", "pose/")
  )
  check_same_views(images, poses, raw.path)
  if len(images) < 2:
    raise UserError(
      f"{raw.path} has {len(images)} view(s), an object needs at least two."
    )
  return sorted(images)


def _fit_image(data: bytes, source: str, hw, resolution: int) -> bytes:
  """Returns PNG bytes of the picture at `resolution`, over white."""
  image = open_picture(data, source)
  if (image.height, image.width) != tuple(hw):
    raise UserError(
      f"{source} has {image.height} x {image.width} pixels, but"
      f" intrinsics.txt is for {hw[0]} x {hw[1]}."
    )
  plain = image.mode == "RGB" and "transparency" not in image.info
  if plain and image.format == "PNG" and image.height == resolution:
    return data
  rgba = image.convert("RGBA")
  white = Image.new("RGBA", rgba.size, "white")
  pixels = np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
  if image.height != resolution:
    size = (resolution, resolution)
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
  return encode_png(pixels)
