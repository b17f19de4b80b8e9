# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes and reads folders of samples, one folder for each object.

  samples/<object>/000.png, 001.png, ...  the generated views, 8-bit RGB
                   cameras.npz            their world_from_cam, K, hw, view
                   input_000.png, ...     the given views
                   input_cameras.npz      the same four arrays, for given views
                   truth_000.png, ...     the true views, if they are known
                   input.json             object_id, seed, ...; written last

In cameras.npz, `hw` is the height and width of the pictures, and `view` holds
the index of each view in its data set. `input.json` appears in one atomic
rename after all other files. A folder without `input.json` is unfinished and is
sampled again. No model is needed to read a folder. To score another method's
pictures, call `write_sample` with them, and with the true views as `truth`.

  write_sample("runs/x/samples", ObjectSamples(object_id="chair_7", ...))
  for folder in list_complete("runs/x/samples"):
    sampled = read_sample(folder)
"""

import dataclasses
import io
import json
import re
from typing import Any
import zipfile
import zlib

from etils import epath
import numpy as np

from threedim_jax.runtime.disk import write_atomically
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.png import decode_png, encode_png
from threedim_jax.views.posed_views import PosedViews

INFO_FILE = "input.json"  # written last: its presence means "complete"
# The arrays of cameras.npz and the types that they are read as.
CAMERA_KEYS = {
  "world_from_cam": np.float32,
  "K": np.float32,
  "hw": np.int32,
  "view": np.int32,
}
# Keys of input.json that list file names of pictures, for other programs.
FILE_KEYS = {"input_files", "truth_files"}
AGAIN = "Delete the folder and run --mode=sample again."

# Errors that NumPy and zipfile raise for damaged files. RuntimeError stands for
# an unknown compression method or a password.
_DAMAGED = (
  EOFError,
  KeyError,
  OSError,
  RuntimeError,
  TypeError,
  ValueError,
  zipfile.BadZipFile,
  zlib.error,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectSamples:
  """The given and the generated views of one object.

  Attributes:
    object_id: id of the object, which is also the name of its folder.
    given: the views that the sampler got.
    generated: the views that the sampler made, in the order of sampling.
    truth: the true pictures of the generated views; None if they are unknown.
    info: facts about the run: seed, num_sample_steps, solver, guidance_weight,
      guidance_interval, camera_distance, conditioning, checkpoint_step,
      seconds_per_view, and pretrained (the name of bundled weights).
  """

  object_id: str
  given: PosedViews
  generated: PosedViews
  truth: PosedViews | None = None
  info: dict[str, Any] = dataclasses.field(default_factory=dict)


def folder_name(object_id: str) -> str:
  """Returns `object_id` if this id can be the name of a folder of samples.

  Raises:
    UserError: the id is empty, has more than 200 bytes, starts with a dot, or
      contains a slash, a backslash or an unprintable character.
  """
  if (
    not object_id.isprintable()  # no NUL, no line break, no lone surrogate
    or not 1 <= len(object_id.encode()) <= 200
    or object_id.startswith(".")  # "..", and our own unfinished files
    or re.search(r"[/\\]", object_id)
  ):
    raise UserError(
      f"The object id {object_id!r} cannot name a folder of samples: it must"
      " have 1 to 200 bytes, not start with a dot and hold no slash,"
      " backslash or unprintable character. Rename the object in the data set."
    )
  return object_id


# ---------------------------------------------------------------- writing


def write_sample(
  samples_dir: epath.PathLike, sampled: ObjectSamples
) -> epath.Path:
  """Writes one object's samples to the folder `<samples_dir>/<object>/`.

  An older folder of the object is replaced.

  Returns:
    Path of the folder.
  """
  folder = epath.Path(samples_dir) / folder_name(sampled.object_id)
  folder.mkdir(parents=True, exist_ok=True)
  (folder / INFO_FILE).unlink(missing_ok=True)  # marks it as unfinished
  for old in folder.glob("*.png"):
    old.unlink()
  _write_images(folder, "", sampled.generated)
  input_files = _write_images(folder, "input_", sampled.given)
  truth_files = None
  if sampled.truth is not None:
    truth_files = _write_images(folder, "truth_", sampled.truth)
  _write_cameras(folder / "cameras.npz", sampled.generated)
  _write_cameras(folder / "input_cameras.npz", sampled.given)
  info = {
    **sampled.info,
    "object_id": sampled.object_id,
    "input_views": sampled.given.index.tolist(),
    "input_files": input_files,
    "truth_files": truth_files,
    "complete": True,
  }
  text = json.dumps(info, indent=2, default=lambda scalar: scalar.item())
  write_atomically(folder / INFO_FILE, text + "\n")
  return folder


def _write_images(
  folder: epath.Path, prefix: str, views: PosedViews
) -> list[str]:
  names = [f"{prefix}{i:03d}.png" for i in range(len(views))]
  for name, image_u8 in zip(names, views.images_u8, strict=True):
    (folder / name).write_bytes(encode_png(image_u8))
  return names


def _write_cameras(path: epath.Path, views: PosedViews) -> None:
  data = io.BytesIO()
  np.savez(
    data,
    world_from_cam=views.world_from_cam,
    K=views.K,
    hw=np.int32(views.hw),
    view=views.index,
  )
  path.write_bytes(data.getvalue())


# ---------------------------------------------------------------- reading


def is_complete(sample_dir: epath.PathLike) -> bool:
  """Returns whether a folder of samples is finished.

  A finished folder has a readable input.json that contains "complete": true.
  """
  path = epath.Path(sample_dir) / INFO_FILE
  try:
    info = json.loads(path.read_text())
  except (FileNotFoundError, NotADirectoryError, ValueError):
    return False
  return isinstance(info, dict) and info.get("complete") is True


def list_complete(samples_dir: epath.PathLike) -> list[epath.Path]:
  """Lists the finished folders in `samples_dir`, sorted by name.

  If `samples_dir` is missing, the result is [].
  """
  samples_dir = epath.Path(samples_dir)
  if not samples_dir.is_dir():
    return []
  return sorted(p for p in samples_dir.iterdir() if is_complete(p))


def near_complete(folder: epath.PathLike) -> list[epath.Path]:
  """Lists the finished folders that the user may have meant by `folder`.

  These are `folder` itself, the folders in it or, if it is a workdir, those of
  its samples and evaluations. The first of the three that exist are listed.
  """
  folder = epath.Path(folder)
  if is_complete(folder):
    return [folder]
  parents = [*folder.glob("samples"), *sorted(folder.glob("evaluate*"))]
  lists = map(list_complete, [folder, *parents])
  return next((found for found in lists if found), [])


def read_settings(sample_dir: epath.PathLike) -> dict[str, Any]:
  """Reads the settings of a finished folder of samples, but no pictures.

  Returns:
    The content of input.json, with the key "views" added. "views" lists the
    generated views and "input_views" the given views, by their indices in the
    data set.
  """
  folder = epath.Path(sample_dir)
  cameras = _read_cameras(folder / "cameras.npz")
  return _read_info(folder) | {"views": cameras["view"].tolist()}


def read_sample(sample_dir: epath.PathLike) -> ObjectSamples:
  """Reads one finished folder of samples.

  Raises:
    UserError: a file is missing or damaged; the message names the file.
  """
  folder = epath.Path(sample_dir)
  info = _read_info(folder)
  cameras = _read_cameras(folder / "cameras.npz")
  generated = _read_views(folder, "", "cameras.npz", cameras)
  truth = None
  if info["truth_files"] is not None:
    truth = _read_views(folder, "truth_", "cameras.npz", cameras)
  given_cameras = _read_cameras(folder / "input_cameras.npz")
  not_info = {"complete", "object_id", "input_views"} | FILE_KEYS
  return ObjectSamples(
    object_id=info["object_id"],
    given=_read_views(folder, "input_", "input_cameras.npz", given_cameras),
    generated=generated,
    truth=truth,
    info={key: x for key, x in info.items() if key not in not_info},
  )


def _read_info(folder: epath.Path) -> dict[str, Any]:
  path = folder / INFO_FILE
  if not path.exists():
    if near := near_complete(folder):
      raise UserError(
        f"{folder} is not the folder of one object: name one, such as {near[0]}"
      )
    raise UserError(
      f"{folder} has no {INFO_FILE}, so it is not a finished folder of samples."
      " Run --mode=sample (again) to make it."
    )
  try:
    info = json.loads(path.read_text())
  except ValueError as e:
    raise UserError(f"{path} is not valid JSON ({e}). {AGAIN}") from e
  if not isinstance(info, dict) or info.get("complete") is not True:
    raise UserError(f'{path} does not say "complete": true. {AGAIN}')
  if info.get("object_id") != folder.name:
    raise UserError(
      f'{path} has "object_id" {info.get("object_id")!r}, but lies in the'
      f" folder {folder.name!r}: the two must be equal."
    )
  return dict.fromkeys(FILE_KEYS) | info


def _read_cameras(path: epath.Path) -> dict[str, np.ndarray]:
  """Reads the arrays named in `CAMERA_KEYS` from a .npz file of cameras.

  Only the shapes are checked here. `PosedViews` later checks the values of
  `world_from_cam` and `K`.
  """
  try:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as npz:
      cameras = {
        key: npz[key].astype(dtype) for key, dtype in CAMERA_KEYS.items()
      }
  except FileNotFoundError as e:
    raise UserError(f"{path} is missing. {AGAIN}") from e
  except _DAMAGED as e:
    raise UserError(f"{path} is not a readable .npz file ({e}).") from e
  n = cameras["view"].size
  wanted = {"world_from_cam": (n, 4, 4), "K": (n, 3, 3), "hw": (2,)}
  shapes = {key: array.shape for key, array in cameras.items()}
  if shapes != wanted | {"view": (n,)}:
    raise UserError(f"{path} has arrays of the shapes {shapes}. {AGAIN}")
  return cameras


def _read_views(
  folder: epath.Path,
  prefix: str,
  cameras_file: str,
  cameras: dict[str, np.ndarray],
) -> PosedViews:
  """Reads a numbered series of pictures, one picture for each camera.

  Args:
    folder: folder of the pictures.
    prefix: start of the file names: "input_" reads input_000.png and so on.
    cameras_file: name of the file that `cameras` comes from, for errors.
    cameras: the arrays of that file, with the keys of `CAMERA_KEYS`.
  """
  num_views = len(cameras["view"])
  height, width = cameras["hw"].tolist()
  images_u8 = []
  pattern = re.compile(rf"{prefix}\d{{3,}}\.png")
  found = sum(bool(pattern.fullmatch(p.name)) for p in folder.iterdir())
  if not num_views or found > num_views:
    raise UserError(
      f"{folder} holds {found} pictures {prefix}000.png and so on, but"
      f" {cameras_file} has {num_views} cameras. {AGAIN}"
    )
  for i in range(num_views):
    path = folder / f"{prefix}{i:03d}.png"
    if not path.exists():
      raise UserError(f"{path} is missing. {AGAIN}")
    image_u8 = decode_png(path.read_bytes(), path)
    if image_u8.shape[:2] != (height, width):
      raise UserError(
        f"{path} is {image_u8.shape[1]}x{image_u8.shape[0]} pixels, but its"
        f" cameras are for {width}x{height}. {AGAIN}"
      )
    images_u8.append(image_u8)
  arrays = cameras["world_from_cam"], cameras["K"], cameras["view"]
  try:
    return PosedViews(np.stack(images_u8), *arrays, name=folder.name)
  except UserError as e:
    raise UserError(f"{folder / cameras_file}: {e}") from e
