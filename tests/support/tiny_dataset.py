# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A data set of a few fake pictures that say which view they are.

It has the features, the folder layout and the `objects.json` of a real one,
and takes well under a second to write:

  folder = write_tiny_dataset(tmp_path, num_objects=3, num_views=4,
                              resolution=8)  # tmp_path/tiny/8/1.0.0
  views = view_source.open_views(tmp_path, "tiny", "8", "train")

`picture` and `camera` give the exact content of any view, as an oracle.
"""

from collections.abc import Collection, Sequence
import dataclasses
import io
import json

import cv2
from etils import epath
import numpy as np
import tensorflow_datasets as tfds

NAME = "tiny"
SPLITS = ("train", "validation", "test")


def object_id(split: str, obj: int) -> str:
  return f"{split}_{obj:03d}"


def picture(split: str, obj: int, view: int, resolution: int) -> np.ndarray:
  """uint8 [H, W, 3]: object, view, and a ramp that shows flips and swaps."""
  image = np.empty((resolution, resolution, 3), np.uint8)
  image[..., 0] = 10 * SPLITS.index(split) + obj
  image[..., 1] = 100 + view
  rows, columns = np.indices((resolution, resolution))
  image[..., 2] = (200 + 3 * rows + columns) % 256
  return image


def camera(
  obj: int, view: int, num_views: int, resolution: int
) -> tuple[np.ndarray, np.ndarray]:
  """(world_from_cam, K), float32: a ring of cameras that face the origin.

  The height above the ground is (object + 1) / 100, so a pose names its object.
  """
  angle = 2 * np.pi * view / num_views
  forward = np.array([-np.cos(angle), -np.sin(angle), 0.0])
  down = np.array([0.0, 0.0, -1.0])
  world_from_cam = np.eye(4)
  world_from_cam[:3, :3] = np.stack(
    [np.cross(down, forward), down, forward], axis=1
  )
  world_from_cam[:3, 3] = -2 * forward - (obj + 1) / 100 * down
  centre = resolution / 2
  K = [[resolution, 0, centre], [0, resolution, centre], [0, 0, 1]]
  return world_from_cam.astype(np.float32), np.array(K, np.float32)


@dataclasses.dataclass
class TinyConfig(tfds.core.BuilderConfig):
  resolution: int = 8
  views_of_objects: tuple[int, ...] = ()
  damaged: Collection[tuple[str, int, int]] = ()


class Tiny(tfds.core.GeneratorBasedBuilder):
  """Fake pictures; use `write_tiny_dataset`."""

  VERSION = tfds.core.Version("1.0.0")

  def _info(self):
    f, r = tfds.features, self.builder_config.resolution
    return tfds.core.DatasetInfo(
      builder=self,
      disable_shuffling=True,
      features=f.FeaturesDict(
        {
          "image": f.Image(shape=(r, r, 3), encoding_format="png"),
          "world_from_cam": f.Tensor(shape=(4, 4), dtype=np.float32),
          "K": f.Tensor(shape=(3, 3), dtype=np.float32),
          "object_id": f.Text(),
          "view": np.int32,
        }
      ),
    )

  def _split_generators(self, dl_manager):
    del dl_manager
    return {split: self._generate_examples(split) for split in SPLITS}

  def _generate_examples(self, split):
    config, record = self.builder_config, 0
    for obj, num_views in enumerate(config.views_of_objects):
      for view in range(num_views):
        pose, K = camera(obj, view, num_views, config.resolution)
        rgb = picture(split, obj, view, config.resolution)
        png = cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()
        if (split, obj, view) in config.damaged:
          png = png[: len(png) // 3]
        yield (
          record,
          {
            # A file object: TFDS would need TensorFlow to encode an array.
            "image": io.BytesIO(png),
            "world_from_cam": pose,
            "K": K,
            "object_id": object_id(split, obj),
            "view": view,
          },
        )
        record += 1


def write_tiny_dataset(
  data_dir,
  num_objects: int,
  num_views: int | Sequence[int],
  resolution: int,
  *,
  damaged: Collection[tuple[str, int, int]] = (),
) -> epath.Path:
  """Writes <data_dir>/tiny/<resolution>/1.0.0 and returns that folder.

  Args:
    data_dir: where to.
    num_objects: objects in each of the three splits.
    num_views: views of every object, or one number for each.
    resolution: height and width of the pictures.
    damaged: (split, object, view) whose PNG is cut off after a third.
  """
  tfds.disable_progress_bar()
  counts = (
    (num_views,) * num_objects
    if isinstance(num_views, int)
    else tuple(num_views)
  )
  builder = Tiny(
    data_dir=str(data_dir),
    file_format="array_record",
    config=TinyConfig(
      name=str(resolution),
      resolution=resolution,
      views_of_objects=counts,
      damaged=damaged,
    ),
  )
  builder.download_and_prepare()
  starts = np.cumsum((0, *counts)).tolist()
  index = {
    split: [
      [object_id(split, obj), starts[obj], counts[obj]]
      for obj in range(num_objects)
    ]
    for split in SPLITS
  }
  folder = epath.Path(builder.data_dir)
  (folder / "objects.json").write_text(json.dumps(index))
  return folder
