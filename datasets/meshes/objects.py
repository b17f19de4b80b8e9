# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From a mesh file to the records of its object.

  made = make_records(task)    # in a worker: no jax, no TFDS here

The random cameras of an object depend on its id alone: they stay the same
whatever other meshes lie beside it.
"""

import dataclasses
import pathlib

from made import BadObject, Made
from meshes.files import MeshFile, id_digest
from meshes.loading import RADIUS, Orientation, load
from meshes.sources import open_source
import numpy as np
from rendering import Renderer, render_records

from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

DISTANCE = camera_paths.RADIUS["chair"]  # of cameras that we place
LEAST_DISTANCE = RADIUS / np.sin(np.radians(camera_paths.FOV_DEG) / 2)


@dataclasses.dataclass(frozen=True)
class Task:
  """What a worker needs to know to make one object.

  Attributes:
    folder: what `file` lies in.
    file: the mesh file.
    split: "train" has random cameras, the others the spiral.
    num_views: of the object.
    resolution: of the pictures, in pixels.
    orientation: how the file stands.
    distance: of the cameras from the object's centre.
    cameras: world_from_cam [N, 4, 4] and K [3, 3] of the user; None: ours.
    strict: whether a texture that cannot be used makes the object faulty.
  """

  folder: pathlib.Path
  file: MeshFile
  split: str
  num_views: int
  resolution: int
  orientation: Orientation = Orientation()
  distance: float = DISTANCE
  cameras: tuple[np.ndarray, np.ndarray] | None = None
  strict: bool = False


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
  seed = int.from_bytes(id_digest(task.file.object_id)[8:24])
  rng = np.random.default_rng(seed)
  return camera_paths.random_views(rng, task.num_views, task.distance), K


def render_mesh(task: Task) -> Made:
  """The records of one object, and notes on textures that are missing.

  Raises:
    UserError: says what is wrong with its file.
  """
  file = task.file
  source = open_source(task.folder, file.zip_path)
  loaded = load(source, file.path, task.orientation, file.entry)
  notes = [f"{source.name}/{file.path}: {note}." for note in loaded.notes]
  if notes and task.strict:
    raise UserError(notes[0])
  records = render_records(
    Renderer(loaded.parts), *cameras(task), task.resolution, file.object_id
  )
  return Made(records, notes)


def make_records(task: Task) -> Made | BadObject:
  """`render_mesh`, with an error as a result."""
  try:
    return render_mesh(task)
  except UserError as e:
    return BadObject(task.file.object_id, str(e))
