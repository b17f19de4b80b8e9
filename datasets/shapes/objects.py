# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes the records of one object of `shapes` from (seed, split, index).

  records = render_object(task)    # runs in a worker: do not import jax or TFDS

Each object has its own random streams, spawned from (class, split, index). So
object 3 of the test split does not depend on the number of objects.
"""

import dataclasses

import numpy as np
from rendering import Renderer, render_records
from shapes import cars, chairs, tables
from shapes.dof import draw
import trimesh

from threedim_jax.views import camera_paths

# The random streams depend on this order, so add new kinds at the end.
KINDS = {"chair": chairs, "car": cars, "table": tables}
SPLITS = ("train", "validation", "test")
_SHAPE_STREAM, _CAMERA_STREAM, _TARGET_STREAM = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class Task:
  """What a worker needs to make one object.

  `distance` is the cameras' distance relative to SRN's. The cameras look past
  the object's centre by `off_axis`, in world units.
  """

  kind: str
  split: str
  index: int
  num_views: int
  resolution: int
  seed: int
  distance: float = 1.0
  off_axis: float = 0.0

  @property
  def object_id(self) -> str:
    return f"{self.kind}_{self.split}_{self.index:05d}"


def build_mesh(kind: str, seed: int, split: str, index: int) -> trimesh.Trimesh:
  """Builds the mesh of one object, centred, in the units of the cameras."""
  rng = _rng(kind, seed, split, index, _SHAPE_STREAM)
  tables = KINDS[kind]
  return tables.build(draw(rng, tables.CONTINUOUS, tables.DISCRETE))


def cameras(task: Task) -> np.ndarray:
  """Returns world_from_cam [N, 4, 4]: random for training, else a spiral."""
  radius = camera_paths.RADIUS[task.kind] * task.distance
  identity = task.kind, task.seed, task.split, task.index
  if task.split != "train":
    poses = camera_paths.srn_spiral(task.num_views, radius)
  else:
    rng = _rng(*identity, _CAMERA_STREAM)
    poses = camera_paths.random_views(rng, task.num_views, radius)
  if not task.off_axis:
    return poses
  rng = _rng(*identity, _TARGET_STREAM)
  targets = rng.standard_normal((task.num_views, 3))
  targets *= task.off_axis / np.linalg.norm(targets, axis=1, keepdims=True)
  return camera_paths.look_at(poses[:, :3, 3], targets)


def render_object(task: Task) -> list[dict]:
  """Renders the records of one object, in the order of its views."""
  render = Renderer(build_mesh(task.kind, task.seed, task.split, task.index))
  K = camera_paths.default_K(task.resolution)
  return render_records(
    render, cameras(task), K, task.resolution, task.object_id
  )


def _rng(
  kind: str, seed: int, split: str, index: int, stream: int
) -> np.random.Generator:
  key = (list(KINDS).index(kind), SPLITS.index(split), index, stream)
  return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
