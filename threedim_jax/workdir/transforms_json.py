# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of samples as other programs read them.

  write_transforms(folder, read_sample(folder))  # -> .../transforms.json

nerfstudio, instant-ngp and Blender importers read transforms.json; so does
`posed_images`, which turns the axes back.
"""

import json
import math

from etils import epath
import numpy as np

from threedim_jax.views.camera_paths import FLIP_GL_CV
from threedim_jax.workdir.samples import Sampled

TRANSFORMS_FILE = "transforms.json"


def write_transforms(
  sample_dir: epath.PathLike, sampled: Sampled
) -> epath.Path:
  """Writes transforms.json beside the pictures of one finished folder.

  Given views come first. Poses are camera-to-world with OpenGL axes, the
  world is ours: z up, the object's front towards +x.
  """
  height, width = sampled.images_u8.shape[1:3]
  given = [f"input_{i:03d}.png" for i in range(len(sampled.input_view))]
  made = [f"{i:03d}.png" for i in range(len(sampled.view))]
  poses = np.concatenate([sampled.input_world_from_cam, sampled.world_from_cam])
  frames = [
    _frame(name, pose, K, name in given)
    for name, pose, K in zip(
      [*given, *made],
      np.float64(poses),
      np.float64(np.concatenate([sampled.input_K, sampled.K])),
      strict=True,
    )
  ]
  content = {
    "camera_model": "PINHOLE",
    "w": width,
    "h": height,
    # For readers that take one field of view for all.
    "camera_angle_x": 2 * math.atan(width / 2 / frames[0]["fl_x"]),
    "frames": frames,
  }
  path = epath.Path(sample_dir) / TRANSFORMS_FILE
  path.write_text(json.dumps(content, indent=1) + "\n")
  return path


def _frame(name: str, pose, K, given: bool) -> dict:
  return {
    "file_path": name,
    "transform_matrix": (pose @ FLIP_GL_CV).tolist(),
    "fl_x": K[0, 0],
    "fl_y": K[1, 1],
    "cx": K[0, 2],
    "cy": K[1, 2],
    "given": given,
  }
