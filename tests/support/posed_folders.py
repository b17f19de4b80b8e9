# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes folders of posed images in the layouts that others use.

  write_pose_folder(tmp_path, names, images, poses, intrinsics_text)
  write_transforms(tmp_path, {"camera_angle_x": 0.9}, names, images, poses)

`images` are arrays that Pillow knows: uint8 [H, W], [H, W, 3], [H, W, 4].
`render` gives pictures of a chair or a car of `shapes` with exact cameras.
"""

import functools
import json
import pathlib

import numpy as np
from PIL import Image
from rendering import Renderer
from shapes.objects import build_mesh

from threedim_jax.inputs.posed_images.text_files import format_pose
from threedim_jax.views import camera_paths

CV_FROM_GL = np.diag([1.0, -1.0, -1.0, 1.0])


def write_pictures(folder: pathlib.Path, names, images) -> None:
  for name, image in zip(names, images, strict=True):
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def write_pose_folder(
  folder: pathlib.Path, names, images, poses, intrinsics: str
) -> pathlib.Path:
  """NSVF or SRN, by names and intrinsics."""
  write_pictures(folder / "rgb", names, images)
  (folder / "pose").mkdir()
  for name, pose in zip(names, poses, strict=True):
    (folder / f"pose/{name}.txt").write_text(format_pose(np.asarray(pose)))
  (folder / "intrinsics.txt").write_text(intrinsics)
  return folder


def write_transforms(
  folder: pathlib.Path, head: dict, names, images, poses, **frame
) -> pathlib.Path:
  """`poses` are OpenCV's; `frame` is added to every frame."""
  write_pictures(folder, names, images)
  frames = [
    {"file_path": f"./{n}", "transform_matrix": (p @ CV_FROM_GL).tolist()}
    for n, p in zip(names, poses, strict=True)
  ]
  content = {**head, "frames": [f | frame for f in frames]}
  (folder / "transforms.json").write_text(json.dumps(content))
  return folder


def srn_intrinsics(K, hw) -> str:
  f, cx, cy = K[0, 0], K[0, 2], K[1, 2]
  return f"{f} {cx} {cy} 0.\n0. 0. 0.\n1.\n{hw[0]} {hw[1]}\n"


@functools.cache
def _renderer(kind: str, index: int) -> Renderer:
  return Renderer(build_mesh(kind, 0, "train", index))


def render(kind: str, index: int, poses, resolution: int) -> np.ndarray:
  """uint8 [N, H, W, 3] over white."""
  K = camera_paths.default_K(resolution)
  draw = _renderer(kind, index)
  return np.stack([draw(pose, K, resolution) for pose in poses])
