# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds `meshes` from a folder or zip file of 3D models.

python datasets/build.py meshes --from FOLDER --config 64
"""

import collections
import dataclasses
import hashlib
import pathlib
import re
import sys

from meshes import files, objects
from meshes.cameras import read_cameras
from meshes.loading import Orientation
import tensorflow_datasets as tfds
from view_builder import ViewBuilder, cost

from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError

_SAFE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


@dataclasses.dataclass
class MeshesConfig(tfds.core.BuilderConfig):
  resolution: int = 64
  num_train_views: int = 50  # of each object
  num_test_views: int = 251  # of validation objects as well


# {resolution: (bytes, seconds of one core) for a view}, see README.md.
COST_PER_VIEW = {
  16: (590, 0.0464),
  32: (744, 0.0146),
  64: (1693, 0.0174),
  128: (5000, 0.067),
}


def _config(
  name: str, resolution: int, num_train_views: int = 50, num_test_views=251
) -> MeshesConfig:
  # The described cost is for 1000 objects, 900 of them for training.
  num_views = 900 * num_train_views + 100 * num_test_views
  return MeshesConfig(
    name=name,
    description=f"{cost(num_views, *COST_PER_VIEW[resolution])}:"
    f" {num_train_views} training or {num_test_views} test views of an object,"
    f" {resolution} pixels",
    resolution=resolution,
    num_train_views=num_train_views,
    num_test_views=num_test_views,
  )


class Builder(ViewBuilder):
  """Objects from mesh files on white, with cameras distributed as in SRN."""

  name = "meshes"
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    _config("64", 64),
    _config("32", 32, num_train_views=24),
    _config("128", 128),
    _config("many_64", 64, num_train_views=250),
    _config("many_128", 128, num_train_views=250),
    # The paper's: 128 pairs an object, see --random_orientation.
    _config("pairs_64", 64, num_train_views=256),
    _config("pairs_128", 128, num_train_views=256),
    _config("debug", 16, num_train_views=4, num_test_views=6),
  ]

  def __init__(
    self,
    *,
    config: MeshesConfig,
    source: pathlib.Path,
    orientation: Orientation,
    distance: float | None,
    camera_file: pathlib.Path | None,
    turned: bool,
    least_scale: float,
    strict: bool,
    test_objects: pathlib.Path | None,
    **kwargs,
  ):
    """Checks the flags of build.py and finds the mesh files.

    `config` is from `config_of`. The other arguments are flags of build.py.

    Raises:
      UserError: the folder, the distance, the camera file or the list of test
        objects cannot be used.
    """
    if camera_file is not None and distance is not None:
      raise UserError(
        "--radius is for our cameras, not for those of --cameras."
      )
    if camera_file is not None and (turned or least_scale != 1):
      raise UserError(
        "--random_orientation and --least_scale are for our cameras, not for"
        " those of --cameras."
      )
    objects.check_scale(least_scale)
    self._turned, self._least_scale = turned, least_scale
    self._orientation, self._strict = orientation, strict
    self._distance = objects.DISTANCE if distance is None else distance
    objects.check_distance(self._distance)
    self._cameras = None
    if camera_file is not None:
      self._cameras = read_cameras(camera_file, config.resolution)
    with progress.waiting(f"{self.name}: list {source}"):
      self._folder, _ = files.root_of(source)
      found = files.find_meshes(source)
    self._files, self._left_out = found.files, found.left_out
    self._test_ids = frozenset()
    if test_objects is not None:
      self._test_ids = files.read_ids(test_objects, self._files)
    super().__init__(config=config, **kwargs)

  def _create_builder_config(self, builder_config, version):
    return builder_config  # TFDS would warn that it has another name

  @property
  def settings(self) -> dict:
    sizes = [
      f"{f.object_id}\0{f.label}\0{f.size}"
      + ("" if f.model is None else f"\0{f.model}")
      for f in self._files
    ]
    found = {
      "num_objects": len(self._files),
      "categories": _count_categories(self._files),
      "files_sha256": _sha256("\n".join(sizes).encode()),
      "up": self._orientation.up,
      "front": self._orientation.front,
      "strict": self._strict,
    }
    if self._test_ids:
      ids = "\n".join(sorted(self._test_ids))
      found["test_objects_sha256"] = _sha256(ids.encode())
    if self._cameras is None:
      return found | {
        "radius": self._distance,
        "random_orientation": self._turned,
        "least_scale": self._least_scale,
      }
    poses, K = self._cameras
    return found | {"cameras_sha256": _sha256(poses.tobytes() + K.tobytes())}

  def left_out(self) -> list[str]:
    return self._left_out

  def num_views(self) -> int:
    splits = files.split_objects(self._files, self._test_ids)
    return sum(len(fs) * self._num_views(s) for s, fs in splits.items())

  def _split_generators(self, dl_manager):
    variants = [f for f in self._files if f.model is not None]
    if variants:
      first, second, *_ = (f for f in variants if f.model == variants[0].model)
      print(
        f"note: {first.label} and {second.label} in {self._folder} look like"
        f" variants of one model ({len(variants)} files do). Each file becomes"
        " an object of its own: remove those that you do not want.",
        file=sys.stderr,
      )
    splits = files.split_objects(self._files, self._test_ids)
    if len(self._files) < len(splits):
      print(
        f"note: {self._folder} has {len(self._files)} mesh(es), fewer than the"
        " three splits: each split holds all of them, so that scores will be"
        " of objects seen in training.",
        file=sys.stderr,
      )
    return {s: self._generate_examples(s, fs) for s, fs in splits.items()}

  def _generate_examples(self, split: str, mesh_files: list[files.MeshFile]):
    tasks = [
      objects.Task(
        folder=self._folder,
        file=file,
        split=split,
        num_views=self._num_views(split),
        resolution=self.builder_config.resolution,
        orientation=self._orientation,
        distance=self._distance,
        cameras=self._cameras,
        turned=self._turned,
        least_scale=self._least_scale,
        strict=self._strict,
      )
      for file in mesh_files
    ]
    return self.stream(split, objects.make_records, tasks)

  def _num_views(self, split: str) -> int:
    if self._cameras is not None:
      return len(self._cameras[0])
    kind = "train" if split == "train" else "test"
    return getattr(self.builder_config, f"num_{kind}_views")


def config_of(config: str, name: str | None, source: pathlib.Path):
  """Returns the config `<name>_<config>`; a missing name is that of `source`.

  Raises:
    UserError: the name is not safe as the name of a folder.
  """
  if name is None:
    path = source.resolve()
    name = path.name if path.is_dir() else path.stem
    name = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)
    name = name.strip("._-") or Builder.name
  elif not _SAFE_NAME.fullmatch(name):
    raise UserError(
      f"--name is {name!r}: choose one of letters, digits, '_', '-' and '.'"
      " that starts with a letter or digit."
    )
  chosen = Builder.builder_configs[config]
  return dataclasses.replace(chosen, name=f"{name}_{config}")


def _count_categories(mesh_files: list[files.MeshFile]) -> dict[str, int]:
  counts = collections.Counter(f.category for f in mesh_files if f.category)
  return dict(sorted(counts.items()))


def _sha256(data: bytes) -> str:
  return hashlib.sha256(data).hexdigest()
