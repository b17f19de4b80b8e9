# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lists the views of an NSVF or SRN folder: rgb/, pose/ and intrinsics.txt.

  frames = list_frames(epath.Path("lego"))

The files of a picture and its pose have the same name except for the suffix,
such as 000000 in SRN, and 0_train_0001 or 0_0001 in NSVF. Poses are
camera-to-world in OpenCV axes. NSVF and SRN write the intrinsics in different
forms; the module `text_files` reads both forms.
"""

from collections.abc import Set
import pathlib

from etils import epath
import numpy as np

from threedim_jax.inputs.posed_images.frames import Frame, natural_key
from threedim_jax.inputs.posed_images.pictures import PICTURE_SUFFIXES
from threedim_jax.inputs.posed_images.text_files import (
  parse_intrinsics,
  parse_pose,
)
from threedim_jax.runtime.disk import read_input
from threedim_jax.runtime.errors import UserError


def is_one(folder: epath.Path) -> bool:
  return (folder / "rgb").is_dir()


def list_frames(folder: epath.Path) -> list[Frame]:
  """Lists a folder's views, sorted by `natural_key`, without decoding pictures.

  Raises:
    UserError: a file is missing or invalid; the message names the file.
  """
  source = folder / "intrinsics.txt"
  if not source.is_file():
    raise UserError(
      f"{source} is missing: NSVF and SRN keep f, cx and cy there"
      " (other programs have transforms.json, which is not here either)."
    )
  intrinsics = parse_intrinsics(read_input(source), str(source))
  images = _by_stem(folder / "rgb", PICTURE_SUFFIXES)
  poses = _by_stem(folder / "pose", (".txt",))
  check_same_views(images.keys(), poses.keys(), str(folder))
  if not images:
    raise UserError(
      f"{folder}/rgb holds no picture ({' '.join(PICTURE_SUFFIXES)})."
    )
  frames = []
  for stem in sorted(images, key=natural_key):
    pose = parse_pose(read_input(poses[stem]), str(poses[stem]))
    if intrinsics.poses_are_cam_from_world:
      pose = np.linalg.inv(pose)
    frames.append(
      Frame(stem, images[stem], pose, intrinsics.K, intrinsics.hw, str(source))
    )
  return frames


def check_same_views(images: Set[str], poses: Set[str], source: str) -> None:
  """Raises a UserError if a view has a picture or a pose, but not both.

  Args:
    images: names of the views that have a picture.
    poses: names of the views that have a pose.
    source: what error messages call the folder.
  """
  if lone := sorted(images ^ poses, key=natural_key):
    has, lacks = ("rgb", "pose") if lone[0] in images else ("pose", "rgb")
    raise UserError(
      f"{source}: view {lone[0]} has a file in {has}/ but none in {lacks}/"
      f" ({len(images)} pictures, {len(poses)} poses)."
    )


def _by_stem(
  folder: epath.Path, suffixes: tuple[str, ...]
) -> dict[str, epath.Path]:
  """Returns {name without suffix: path} for the files with one of `suffixes`.

  Hidden files (._x) are skipped.

  Raises:
    UserError: two files have the same name but different suffixes.
  """
  found: dict[str, epath.Path] = {}
  if not folder.is_dir():
    return found
  for name in sorted(path.name for path in folder.iterdir()):
    path = pathlib.PurePath(name)
    if path.suffix.lower() not in suffixes or name.startswith("."):
      continue
    if path.stem in found:
      raise UserError(
        f"{folder} holds {found[path.stem].name} and {name}: remove one."
      )
    found[path.stem] = folder / name
  return found
