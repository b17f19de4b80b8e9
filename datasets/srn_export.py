# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes a built data set as folders in the layout of the SRN archives.

  export_srn(data_set_folder, target)

The word before `_` in an object's id is its class (`car` or `chair`).
PNG bytes are copied and poses are written with all digits, so that building
`srn` from the exported folders gives the same records.
"""

import json
import pathlib
import shutil

from srn.archive import SPLITS
import tensorflow_datasets as tfds
from view_builder import OBJECTS_FILE

from threedim_jax.inputs.posed_images.text_files import (
  format_intrinsics,
  format_pose,
)
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError


def checked_target(target: pathlib.Path) -> pathlib.Path:
  """Returns the absolute path of the folder for an export, without links.

  Raises:
    UserError: `target` is not a folder, or it is not empty.
  """
  target = target.resolve()
  if target.exists() and not target.is_dir():
    raise UserError(f"{target} is not a folder: name another for the export.")
  if target.exists() and any(target.iterdir()):
    raise UserError(f"{target} is not empty: name a new folder for the export.")
  return target


def export_srn(folder: pathlib.Path, target: pathlib.Path) -> None:
  """Exports all splits of the data set in `folder`.

  Raises:
    UserError: `target` is a file, or a folder that is not empty.
  """
  target = checked_target(target)
  partial = target.with_name(target.name + ".partial")
  shutil.rmtree(partial, ignore_errors=True)
  index = json.loads((folder / OBJECTS_FILE).read_text())
  builder = tfds.builder_from_directory(folder)
  decoders = {"image": tfds.decode.SkipDecoding()}
  hw = builder.info.features["image"].shape[:2]
  total = sum(map(len, index.values()))
  with progress.bar(f"export to {target}", total, unit="object") as bar:
    for short, split in SPLITS.items():
      if not index.get(split):
        continue
      views = builder.as_data_source(split, decoders=decoders)
      for object_id, start, count in index[split]:
        place = partial / _parent_folder(object_id, short) / object_id
        _write_object(place, [views[start + i] for i in range(count)], hw)
        bar.advance()
  if target.exists():
    target.rmdir()
  partial.rename(target)


def _parent_folder(object_id: str, short_split: str) -> str:
  kind = object_id.split("_")[0] + "s"
  parent = f"{kind}_{short_split}"
  # In the archive, training chairs lie one folder deeper.
  return f"{parent}/chairs_2.0_train" if parent == "chairs_train" else parent


def _write_object(
  place: pathlib.Path, views: list[dict], hw: tuple[int, int]
) -> None:
  for name in ("rgb", "pose"):
    (place / name).mkdir(parents=True)
  text = format_intrinsics(views[0]["K"], hw)
  (place / "intrinsics.txt").write_text(text)
  for view in views:
    stem = f"{view['view']:06d}"
    (place / "rgb" / f"{stem}.png").write_bytes(view["image"])
    pose = format_pose(view["world_from_cam"])
    (place / "pose" / f"{stem}.txt").write_text(pose)
