# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Says which axes of a mesh file are up and front.

  R = Orientation(front="-z").world_from_file(path)

In all data sets z is up, and the front of an object points to +x, where a
camera at azimuth 0 stands.
"""

import dataclasses
import pathlib

import numpy as np

from threedim_jax.runtime.errors import UserError

# ShapeNet and glTF have y up; scans and printed parts mostly stand on z = 0.
UP = {".obj": "y", ".glb": "y", ".gltf": "y"}
# All files of ShapeNetCore.v2 have this name; its objects look along -z.
SHAPENET_STEM, SHAPENET_FRONT = "model_normalized", "-z"
DEFAULT_FRONT = {"y": "z", "z": "x"}  # the glTF standard says z
FRONTS = tuple(sign + axis for axis in "xyz" for sign in ("", "-"))


@dataclasses.dataclass(frozen=True)
class Orientation:
  """The axes of files: `up` is "y" or "z", `front` one of `FRONTS`.

  None stands for the usual axis of the file's format and collection.
  """

  up: str | None = None
  front: str | None = None

  def world_from_file(self, path: pathlib.PurePath) -> np.ndarray:
    """Returns the rotation [3, 3] that turns `up` to +z and `front` to +x.

    Raises:
      UserError: both are along the same axis.
    """
    up = self.up or UP.get(path.suffix.lower(), "z")
    front = self.front
    if front is None:
      front = DEFAULT_FRONT[up]
      if up == "y" and path.stem == SHAPENET_STEM:
        front = SHAPENET_FRONT
    if front[-1] == up:
      raise UserError(
        f"--front is {front!r} and --up is {up!r}: these are the same axis."
      )
    x, z = _unit(front), _unit(up)
    return np.stack([x, np.cross(z, x), z])


def _unit(axis: str) -> np.ndarray:
  sign = -1.0 if axis.startswith("-") else 1.0
  return sign * np.eye(3)["xyz".index(axis[-1])]
