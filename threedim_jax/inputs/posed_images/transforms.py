# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the transforms.json of nerfstudio, instant-ngp and Blender scenes.

  frames = list_frames(epath.Path("scene"))

In the file, `transform_matrix` is a camera-to-world pose with OpenGL axes (y
up, z backward); this module converts the pose to OpenCV axes. `mask_path` (or
`mask_file_path`) names a picture that is black outside the object. The module
`lens` reads the intrinsics and the distortion. Paths that lead out of the
scene's folder are refused, because the file may come from someone the user does
not trust.
"""

import functools
import json
import os
import pathlib
import re
import sys
from typing import Any

from etils import epath

from threedim_jax.inputs.posed_images.frames import Frame, natural_key
from threedim_jax.inputs.posed_images.lens import read_lens
from threedim_jax.inputs.posed_images.pictures import PICTURE_SUFFIXES, read_hw
from threedim_jax.inputs.posed_images.text_files import pose_from_json
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.camera_paths import FLIP_GL_CV

_MASK_KEYS = ("mask_path", "mask_file_path")
# Keys that other programs use for masks, or for masks of other kinds.
_OTHER_MASK_KEY = re.compile("mask|alpha_path", re.IGNORECASE)
FILES = tuple(f"transforms{s}.json" for s in ("", "_train", "_val", "_test"))


def find(folder: epath.Path) -> list[epath.Path]:
  """Lists a folder's `FILES` that exist; `list_frames` reads only the first."""
  return [folder / name for name in FILES if (folder / name).is_file()]


def list_frames(folder: epath.Path) -> list[Frame]:
  """Lists a folder's views, sorted by `natural_key`, without decoding pictures.

  If there are several transforms files, the function prints which one it reads.
  It also prints how many pictures have a lens distortion to remove, if any.

  Raises:
    UserError: a file or a frame is invalid; the message says which one.
  """
  source, *others = find(folder)
  if others:
    print(f"{folder}: reads {source.name}, not {[p.name for p in others]}")
  try:
    # Given bytes, json detects the encoding and skips a byte-order mark.
    content = json.loads(source.read_bytes())
  except (ValueError, RecursionError) as e:
    raise UserError(f"{source} is not valid JSON ({e}).") from e
  entries = content.get("frames") if isinstance(content, dict) else None
  if not isinstance(entries, list) or not entries:
    raise UserError(f'{source} has no list "frames" with at least one view.')
  files = _Files(folder)
  frames = [
    _frame(files, content, entry, str(source), i)
    for i, entry in enumerate(entries)
  ]
  _check_mask_folder(folder, frames, source.name)
  distorted = sum(frame.distortion is not None for frame in frames)
  if distorted:
    print(
      f"{source}: removes the lens distortion of {distorted} pictures",
      file=sys.stderr,
    )
  return sorted(frames, key=lambda frame: natural_key(frame.name))


def _frame(
  files: "_Files", content: dict[str, Any], entry: Any, source: str, i: int
) -> Frame:
  where = f"{source}: frame {i}"
  if not isinstance(entry, dict):
    raise UserError(f"{where} is no JSON object.")
  path = files.find(entry.get("file_path"), f'{where}: "file_path"')
  where = f"{where} ({path.name})"
  pose = pose_from_json(
    entry.get("transform_matrix"), f'{where}: "transform_matrix"'
  )
  lens = read_lens(content, entry, read_hw(path), where)
  return Frame(
    # The path without suffix is unique in the file, and sorts like the paths.
    name=path.relative_to(files.folder).with_suffix("").as_posix(),
    path=path,
    world_from_cam=pose @ FLIP_GL_CV,
    K=lens.K,
    hw=lens.hw,
    source=source,
    distortion=lens.distortion,
    mask=_find_mask(files, (entry, content), where),
  )


def _find_mask(
  files: "_Files", levels: tuple[dict[str, Any], ...], where: str
) -> epath.Path | None:
  """Returns the path of a frame's mask; None if the frame has no mask.

  Args:
    levels: the frame's JSON object, then that of the whole file.
    where: what error messages call the frame.

  Raises:
    UserError: there is no such file, or only a key that is not read names a
      mask.
  """
  for level in levels:
    named = {key: level[key] for key in _MASK_KEYS if key in level}
    for key, path in named.items():
      if path:
        return files.find(path, f'{where}: "{key}"')
    if named:  # A frame's null means no mask, whatever the file says.
      break
  for level in levels:
    for key, value in level.items():
      if _OTHER_MASK_KEY.search(key) and isinstance(value, str | list | dict):
        if value and key not in _MASK_KEYS:
          raise UserError(
            f'{where}: "{key}" is not read: name a mask that is black outside'
            ' the object in "mask_path", or remove the key.'
          )
  return None


def _check_mask_folder(
  folder: epath.Path, frames: list[Frame], name: str
) -> None:
  """Raises a UserError if the masks in a folder would be ignored silently.

  Args:
    folder: the folder of the transforms.json.
    name: name of the transforms.json.
  """
  if any(frame.mask for frame in frames):
    return
  for masks in ("mask", "masks"):
    if (folder / masks).is_dir():
      raise UserError(
        f'{folder} holds a folder "{masks}", but {name} names no mask: name the'
        ' mask of each frame in "mask_path", or move the folder away.'
      )


class _Files:
  """Finds picture files by name, inside the folder of a transforms.json."""

  def __init__(self, folder: epath.Path):
    self.folder = folder
    self._root = os.path.realpath(folder)
    self._names = functools.cache(_names)

  def find(self, name: Any, where: str) -> epath.Path:
    """Finds the picture file that a path in a transforms.json names.

    The path may lack the file's suffix, and may differ from it in letter case.

    Args:
      name: the path, absolute or relative to the folder of the transforms.json.
      where: what error messages call the path's place in the transforms.json.

    Raises:
      UserError: `name` is not a string, leads out of the folder, or names no
        existing file.
    """
    if not isinstance(name, str) or not name:
      raise UserError(f"{where} is not the name of a picture.")
    if not _can_be_a_file(name):
      raise UserError(f"{where} {_short(name)} is no possible file name.")
    pure = pathlib.PurePosixPath(name.replace("\\", "/"))
    path = None
    if pure.is_absolute() or ".." in pure.parts:
      real = os.path.realpath(os.path.join(self._root, str(pure)))
      pure = pathlib.PurePosixPath(os.path.relpath(real, self._root))
    if ".." not in pure.parts:
      path = self._existing(self.folder / str(pure))
      real = os.path.realpath(path)
      if not real.startswith(self._root + os.sep):
        path = None
    if path is None:
      raise UserError(
        f"{where} {_short(name)} leads out of {self.folder}. Put the pictures"
        " into the folder and name them relative to it."
      )
    if not path.is_file():
      raise UserError(
        f"{where}: {path} is missing (nor is it there with one of the suffixes"
        f" {' '.join(PICTURE_SUFFIXES)})."
      )
    return path

  def _existing(self, path: epath.Path) -> epath.Path:
    """Returns the existing file that `path` names, or `path` if there is none.

    `path` may lack the file's suffix, and may differ from it in letter case.
    """
    if path.is_file():
      return path
    names = self._names(path.parent)
    for suffix in ("", *PICTURE_SUFFIXES):
      wanted = path.name + suffix
      for found in (wanted, *names.get(wanted.lower(), ())):
        if (path.parent / found).is_file():
          return path.parent / found
    return path


def _names(folder: epath.Path) -> dict[str, list[str]]:
  """Returns {lower-case name: [actual names]} for the files in a folder.

  If the folder does not exist, the dictionary is empty.
  """
  found: dict[str, list[str]] = {}
  if folder.is_dir():
    for path in sorted(folder.iterdir()):
      found.setdefault(path.name.lower(), []).append(path.name)
  return found


def _can_be_a_file(name: str) -> bool:
  """Returns whether `name` is a possible file name.

  Looking for an impossible name, such as a very long one, would raise an error.
  File systems limit a part of a path to 255 bytes, and Linux a path to 4095.
  """
  try:
    data = name.encode()
  except UnicodeEncodeError:
    return False
  too_long = max(map(len, data.split(b"/"))) > 250 or len(data) > 3000
  return b"\0" not in data and not too_long


def _short(text: str) -> str:
  return repr(text if len(text) < 80 else text[:77] + "...")
