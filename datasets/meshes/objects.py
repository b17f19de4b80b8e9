# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From a mesh file to the records of its object.

  records = render_mesh(task)    # in a worker: no jax, no TFDS here

The random cameras of an object depend on its id alone: they stay the same
whatever other meshes lie beside it.
"""

import dataclasses
import pathlib

from meshes.files import id_digest
from meshes.loading import RADIUS, load_parts
import numpy as np
from rendering import Renderer, render_records

from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

DISTANCE = camera_paths.RADIUS["chair"]  # of cameras that we place
LEAST_DISTANCE = RADIUS / np.sin(np.radians(camera_paths.FOV_DEG) / 2)


@dataclasses.dataclass(frozen=True)
class Task:
  """What a worker needs to know to make one object.

  `distance` is that of the cameras from the object's centre. `cameras` are
  world_from_cam [N, 4, 4] and K [3, 3] that a user brought; None: ours.
  """

  folder: pathlib.Path
  path: pathlib.PurePath
  object_id: str
  split: str
  num_views: int
  resolution: int
  up: str | None
  distance: float = DISTANCE
  cameras: tuple[np.ndarray, np.ndarray] | None = None


def check_distance(distance: float) -> None:
  """Raises a UserError if an object would not fit in the picture."""
  if not LEAST_DISTANCE <= distance < np.inf:
    raise UserError(
      f"--radius is {distance:g}, but objects fit in a sphere of {RADIUS} and"
      f" a camera sees all of it from {LEAST_DISTANCE:.2f} on: choose at least"
      " that."
    )


def cameras(task: Task) -> tuple[np.ndarray, np.ndarray]:
  """world_from_cam [N, 4, 4] and K: random for training, else the spiral."""
  if task.cameras is not None:
    return task.cameras
  K = camera_paths.default_K(task.resolution)
  if task.split != "train":
    return camera_paths.srn_spiral(task.num_views, task.distance), K
  seed = int.from_bytes(id_digest(task.object_id)[8:24])
  rng = np.random.default_rng(seed)
  return camera_paths.random_views(rng, task.num_views, task.distance), K


def render_mesh(task: Task) -> list[dict]:
  """The records of one object; a UserError says what is wrong with its file."""
  render = Renderer(load_parts(task.folder, task.path, task.up))
  return render_records(render, *cameras(task), task.resolution, task.object_id)
