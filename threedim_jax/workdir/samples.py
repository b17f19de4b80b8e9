# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder contract: everything that scores or shows reads only this.

  samples/<object>/000.png, 001.png, ...  the generated views, 8-bit RGB
                   cameras.npz            world_from_cam, K, hw, view of them
                   input_000.png, ...     the given views
                   input_cameras.npz      the same four arrays of the given
                   truth_000.png, ...     the true views, where known
                   input.json             object_id, seed, ...; written last

`input.json` appears in one atomic rename when all else is on disk: a folder
without it is unfinished, and is done again. No model is needed to read a
folder, so another method's pictures can be scored by writing the same files.

  write_sample("runs/x/samples", Sampled(object_id="chair_7", ...))
  for folder in list_complete("runs/x/samples"):
    sampled = read_sample(folder)
"""

from collections.abc import Sequence
import dataclasses
import errno
import io
import json
import re
from typing import Any
import zipfile
import zlib

from etils import epath
from jaxtyping import Float32, Int32, UInt8
import numpy as np

from threedim_jax.runtime.disk import write_whole
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.png import decode_png, encode_png

INFO_FILE = "input.json"  # written last: its presence means "complete"
CAMERA_KEYS = ("world_from_cam", "K", "hw", "view")
AGAIN = "Delete the folder and run --mode=sample again."

_DAMAGED = (  # what NumPy and zipfile raise; RuntimeError: a method or password
  *(EOFError, OSError, RuntimeError, TypeError, ValueError),
  *(zipfile.BadZipFile, zlib.error),
)
_VIEW_FILE = re.compile(r"\d{3,}\.png")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampled:
  """One object's generated views (N), given views (M) and true views.

  Cameras are OpenCV, K in pixels. `view` is the index of the pose in the data
  set, -1 if it has none. `info` holds the facts about the run: seed,
  num_sample_steps, solver, guidance_weight, guidance_interval,
  camera_distance, conditioning, checkpoint_step, seconds_per_view, and
  pretrained, the name of weights that ship.
  """

  object_id: str
  images_u8: UInt8[np.ndarray, "N H W 3"]
  world_from_cam: Float32[np.ndarray, "N 4 4"]
  K: Float32[np.ndarray, "N 3 3"]
  view: Int32[np.ndarray, " N"]
  input_images_u8: UInt8[np.ndarray, "M H W 3"]
  input_world_from_cam: Float32[np.ndarray, "M 4 4"]
  input_K: Float32[np.ndarray, "M 3 3"]
  input_view: Int32[np.ndarray, " M"]
  truth_u8: UInt8[np.ndarray, "N H W 3"] | None = None
  info: dict[str, Any] = dataclasses.field(default_factory=dict)


def folder_name(object_id: str) -> str:
  """Returns the id if it is safe as the name of a folder, else UserError."""
  if not _is_safe_name(object_id):
    raise UserError(
      f"The object id {object_id!r} cannot name a folder of samples: it must"
      " have 1 to 200 bytes, not start with a dot and hold no slash,"
      " backslash or unprintable character. Rename the object in the data set."
    )
  return object_id


def _is_safe_name(name: str) -> bool:
  """Whether the name leads to a file or folder right here, on any system."""
  return (
    name.isprintable()  # no NUL, no line break, no lone surrogate
    and 1 <= len(name.encode()) <= 200
    and not name.startswith(".")  # "..", and our own unfinished files
    and not re.search(r"[/\\]", name)
  )


# ---------------------------------------------------------------- writing


def write_sample(samples_dir: epath.PathLike, sampled: Sampled) -> epath.Path:
  """Writes `<samples_dir>/<object>/`; an older folder's files are replaced."""
  folder = epath.Path(samples_dir) / folder_name(sampled.object_id)
  try:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INFO_FILE).unlink(missing_ok=True)  # first: now unfinished
    for old in folder.glob("*.png"):
      old.unlink()
    _write_images(folder, "", sampled.images_u8)
    input_files = _write_images(folder, "input_", sampled.input_images_u8)
    truth_files = None
    if sampled.truth_u8 is not None:
      truth_files = _write_images(folder, "truth_", sampled.truth_u8)
    hw = sampled.images_u8.shape[1:3]
    cameras = (sampled.world_from_cam, sampled.K, hw, sampled.view)
    _write_cameras(folder / "cameras.npz", *cameras)
    cameras = (sampled.input_world_from_cam, sampled.input_K, hw)
    _write_cameras(folder / "input_cameras.npz", *cameras, sampled.input_view)
    info = {
      **sampled.info,
      "object_id": sampled.object_id,
      "input_views": [int(v) for v in sampled.input_view],
      "input_files": input_files,
      "truth_files": truth_files,
      "complete": True,
    }
    text = json.dumps(info, indent=2, default=lambda scalar: scalar.item())
    write_whole(folder / INFO_FILE, text + "\n")
  except OSError as e:
    if e.errno != errno.ENOSPC:
      raise
    raise UserError(
      f"No space is left on the disk of {folder}. Free some and run the same"
      f" command again: without {INFO_FILE} the folder will be redone."
    ) from e
  return folder


def _write_images(folder: epath.Path, prefix: str, images_u8) -> list[str]:
  names = [f"{prefix}{i:03d}.png" for i in range(len(images_u8))]
  for name, image_u8 in zip(names, images_u8, strict=True):
    (folder / name).write_bytes(encode_png(image_u8))
  return names


def _write_cameras(path: epath.Path, world_from_cam, K, hw, view) -> None:
  data = io.BytesIO()
  np.savez(
    data,
    world_from_cam=np.asarray(world_from_cam, np.float32),
    K=np.asarray(K, np.float32),
    hw=np.asarray(hw, np.int32),
    view=np.asarray(view, np.int32),
  )
  path.write_bytes(data.getvalue())


# ---------------------------------------------------------------- reading


def is_complete(sample_dir: epath.PathLike) -> bool:
  """True if the folder was finished; one that cannot be read was not."""
  path = epath.Path(sample_dir) / INFO_FILE
  try:
    info = json.loads(path.read_text())
  except (FileNotFoundError, NotADirectoryError, ValueError):
    return False
  return isinstance(info, dict) and info.get("complete") is True


def list_complete(samples_dir: epath.PathLike) -> list[epath.Path]:
  """The finished folders, sorted by name; none if there is no such place."""
  samples_dir = epath.Path(samples_dir)
  if not samples_dir.is_dir():
    return []
  return sorted(p for p in samples_dir.iterdir() if is_complete(p))


def read_sample(sample_dir: epath.PathLike) -> Sampled:
  """Reads one finished folder; UserError names the file that is wrong."""
  folder = epath.Path(sample_dir)
  info = _read_info(folder)
  cameras = _read_cameras(folder / "cameras.npz")
  input_cameras = _read_cameras(folder / "input_cameras.npz")
  views = [f"{i:03d}.png" for i in range(len(cameras["view"]))]
  found = [p.name for p in folder.iterdir() if _VIEW_FILE.fullmatch(p.name)]
  if len(found) > len(views):  # a missing one is named when it is read
    views = sorted(found)
  truth_files = info.pop("truth_files", None)
  truth_u8 = None
  if truth_files is not None:
    truth_u8 = _read_images(folder, truth_files, cameras)
  for key in ("complete", "input_views"):  # the arrays say it
    info.pop(key, None)
  return Sampled(
    object_id=info.pop("object_id"),
    images_u8=_read_images(folder, views, cameras),
    world_from_cam=cameras["world_from_cam"],
    K=cameras["K"],
    view=cameras["view"],
    input_images_u8=_read_images(
      folder, info.pop("input_files"), input_cameras
    ),
    input_world_from_cam=input_cameras["world_from_cam"],
    input_K=input_cameras["K"],
    input_view=input_cameras["view"],
    truth_u8=truth_u8,
    info=info,
  )


def _read_info(folder: epath.Path) -> dict[str, Any]:
  path = folder / INFO_FILE
  if not path.exists():
    raise UserError(
      f"{folder} has no {INFO_FILE}: it is no folder of samples, or an"
      " unfinished one. Run --mode=sample (again) to make it."
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
  for key in ("input_files", "truth_files"):
    names = info.get(key)
    if names is None and key == "truth_files":
      continue
    if not isinstance(names, list) or not all(
      isinstance(name, str) and _is_safe_name(name) for name in names
    ):
      raise UserError(
        f'{path}: "{key}" must list files in this folder, not {names!r}.'
      )
  return info


def _read_cameras(path: epath.Path) -> dict[str, np.ndarray]:
  if not path.exists():
    raise UserError(f"{path} is missing. {AGAIN}")
  try:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as npz:
      cameras = {key: npz[key] for key in CAMERA_KEYS}
  except KeyError as e:
    raise UserError(
      f"{path} lacks an array of {', '.join(CAMERA_KEYS)} ({e})."
    ) from e
  except _DAMAGED as e:
    raise UserError(f"{path} is not a readable .npz file ({e}).") from e
  if cameras["view"].ndim != 1 or not len(cameras["view"]):
    raise UserError(f'{path}: "view" must list at least one view.')
  n = len(cameras["view"])
  shapes = {"world_from_cam": (n, 4, 4), "K": (n, 3, 3), "hw": (2,)}
  for key, shape in shapes.items():
    array = cameras[key]
    numbers = array.dtype.kind in "fiu" and np.isfinite(array).all()
    if array.shape != shape or not numbers:
      raise UserError(
        f'{path}: "{key}" must be finite numbers of shape {shape} for the'
        f' {n} entries of "view"; it is {array.dtype} {array.shape}.'
      )
  rotation = cameras["world_from_cam"][:, :3, :3]
  gram = rotation @ np.swapaxes(rotation, 1, 2)
  rigid = np.abs(gram - np.eye(3)).max() < 1e-3
  if not rigid or (np.linalg.det(rotation) < 0).any():
    raise UserError(
      f'{path}: "world_from_cam" must be rigid transforms: rotations without'
      " scale, shear or mirroring."
    )
  kinds = {"view": "int32", "hw": "int32"}
  return {k: a.astype(kinds.get(k, "float32")) for k, a in cameras.items()}


def _read_images(
  folder: epath.Path, names: Sequence[str], cameras: dict[str, np.ndarray]
) -> UInt8[np.ndarray, "N H W 3"]:
  if len(names) != len(cameras["view"]):
    raise UserError(
      f"{folder} holds {len(names)} pictures (first: {names[:1]}) for"
      f" {len(cameras['view'])} cameras. {AGAIN}"
    )
  height, width = map(int, cameras["hw"])
  images_u8 = []
  for name in names:
    path = folder / name
    if not path.exists():
      raise UserError(f"{path} is missing. {AGAIN}")
    image_u8 = decode_png(path.read_bytes(), path)
    if image_u8.shape != (height, width, 3):
      raise UserError(
        f"{path} is {image_u8.shape[1]}x{image_u8.shape[0]} pixels, but its"
        f" cameras are for {width}x{height}. {AGAIN}"
      )
    images_u8.append(image_u8)
  return np.stack(images_u8)
