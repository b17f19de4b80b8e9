# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes transforms.json, so that other programs can read samples.

  write_transforms(folder, read_sample(folder))  # -> .../transforms.json

The importers of nerfstudio, instant-ngp and Blender read this file, and so does
`inputs.posed_images` of this package.
"""

import json
import math
import sys

from etils import epath
import numpy as np

from threedim_jax.views.camera_paths import FLIP_GL_CV
from threedim_jax.workdir.samples import ObjectSamples

TRANSFORMS_FILE = "transforms.json"


def write_transforms(
  sample_dir: epath.PathLike, sampled: ObjectSamples
) -> epath.Path:
  """Writes transforms.json beside the pictures of a finished folder of samples.

  The given views come first, then the generated ones. Poses are camera-to-world
  with OpenGL axes. World axes are those of the samples: z is up, and the front
  of the object points to +x.

  `sampled` is the content of the folder. The result is the path of
  transforms.json. The format has no skew; if a camera has one, a note says so.
  """
  views, num_given = sampled.given + sampled.generated, len(sampled.given)
  height, width = views.hw
  names = [f"input_{i:03d}.png" for i in range(num_given)]
  names += [f"{i:03d}.png" for i in range(len(sampled.generated))]
  poses, Ks = np.float64(views.world_from_cam), np.float64(views.K)
  if np.any(Ks[:, 0, 1] != 0):
    print(
      f"note: {sample_dir}/{TRANSFORMS_FILE} lacks the skew of the cameras,"
      " which the format cannot express",
      file=sys.stderr,
    )
  frames = [
    _frame(name, poses[i], Ks[i], i < num_given) for i, name in enumerate(names)
  ]
  content = {
    "camera_model": "PINHOLE",
    "w": width,
    "h": height,
    # For readers that use one field of view for all pictures.
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
