# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Turns a mesh file into the records of its object.

  made = make_records(task)    # runs in a worker: do not import jax or TFDS

The random cameras of an object depend on its id alone, not on the other meshes
of the data set.
"""

import dataclasses
import math
import pathlib

from meshes.files import MeshFile, id_digest
from meshes.loading import RADIUS, Orientation, load
from meshes.sources import open_source
import numpy as np
from parallel import BadObject, Made
from rendering import Renderer, render_records
from scipy.spatial.transform import Rotation

from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

_PAIR = 2  # views that share one random orientation and scale
DISTANCE = camera_paths.RADIUS["chair"]  # default distance of the cameras
LEAST_DISTANCE = RADIUS / np.sin(np.radians(camera_paths.FOV_DEG) / 2)


@dataclasses.dataclass(frozen=True)
class Task:
  """What a worker needs to make one object.

  Attributes:
    folder: the folder that holds `file`.
    file: the mesh file.
    split: "train" has random cameras, the other splits have the spiral.
    num_views: number of views of the object.
    resolution: of the pictures, in pixels.
    orientation: the axes of the file.
    distance: of the cameras from the object's centre.
    cameras: world_from_cam [N, 4, 4] and K [3, 3] from `--cameras`, or None.
    turned: turn the object at random for each pair of training views.
    least_scale: scale it for each pair, at random from this to 1.
    strict: a texture that cannot be used, or is guessed, makes the object
      faulty.
  """

  folder: pathlib.Path
  file: MeshFile
  split: str
  num_views: int
  resolution: int
  orientation: Orientation = Orientation()
  distance: float = DISTANCE
  cameras: tuple[np.ndarray, np.ndarray] | None = None
  turned: bool = False
  least_scale: float = 1.0
  strict: bool = False


def check_distance(distance: float) -> None:
  """Raises a UserError if an object would not fit into the picture."""
  if not LEAST_DISTANCE <= distance < np.inf:
    least = math.ceil(100 * LEAST_DISTANCE) / 100
    raise UserError(
      f"--radius is {distance:g}, but objects fit in a sphere of {RADIUS} and"
      f" a camera sees all of it from {least} on: choose at least that."
    )


def check_scale(least_scale: float) -> None:
  """Raises a UserError if objects would be turned inside out or vanish."""
  if not 0.1 <= least_scale <= 1:
    raise UserError(
      f"--least_scale is {least_scale:g}: choose a number from 0.1 to 1."
    )


def cameras(task: Task) -> tuple[np.ndarray, np.ndarray]:
  """Returns world_from_cam [N, 4, 4], random or on a spiral, and K.

  Training objects have random cameras, the others a spiral.
  """
  if task.cameras is not None:
    return task.cameras
  K = camera_paths.default_K(task.resolution)
  if task.split != "train":
    return camera_paths.srn_spiral(task.num_views, task.distance), K
  seed = int.from_bytes(id_digest(task.file.object_id)[8:24])
  rng = np.random.default_rng(seed)
  poses = camera_paths.random_views(rng, task.num_views, task.distance)
  if task.turned or task.least_scale < 1:
    poses = _around_moved_object(poses, rng, task.turned, task.least_scale)
  return poses, K


def _around_moved_object(
  poses: np.ndarray, rng: np.random.Generator, turned: bool, least_scale: float
) -> np.ndarray:
  """Moves poses [N, 4, 4] to show the object turned and scaled for each pair.

  The cameras move and the object stays, so that all views of an object share
  one world. To show the object turned by R and scaled by s, a camera is turned
  by the inverse of R and its distance is divided by s.
  """
  num_pairs = -(-len(poses) // _PAIR)
  rotations = np.tile(np.eye(3), (num_pairs, 1, 1))
  if turned:
    rotations = Rotation.random(num_pairs, random_state=rng).as_matrix()
  scales = np.exp(rng.uniform(np.log(least_scale), 0, num_pairs))
  pair = np.arange(len(poses)) // _PAIR
  moved = poses.copy()
  moved[:, :3] = rotations[pair].swapaxes(1, 2) @ poses[:, :3]
  moved[:, :3, 3] /= scales[pair, None]
  return moved


def render_mesh(task: Task) -> Made:
  """Renders the records of one object; notes name missing files.

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
  """Calls `render_mesh`, and returns a UserError as a `BadObject`."""
  try:
    return render_mesh(task)
  except UserError as e:
    return BadObject(task.file.object_id, str(e), task.num_views)
