# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Describes a user's photo: its camera, and the views to generate.

  photo = Photo("photo.png", elevation=20, azimuth=40)
  scene = photo_scene(photo, resolution=64, num_views=12)
  sampler = load_sampler("shapes64")  # from `load`
  views = sampler.views(scene.given, scene.targets)

World coordinates are as in the training data: the centre of the object is at
the origin, z is up, and the object's front points to +x. The user says where
the camera stood: at azimuth 0 the camera sees the front, at azimuth 90 the left
side.
"""

import dataclasses
import json
import math
import re

from etils import epath
from jaxtyping import Float
import numpy as np

from threedim_jax.inputs.cutout import prepare
from threedim_jax.inputs.photo import open_photo
from threedim_jax.inputs.posed_images.text_files import pose_from_json
from threedim_jax.runtime.errors import UserError
from threedim_jax.sampling.scene import Scene
from threedim_jax.views import camera_paths
from threedim_jax.views.cameras import Camera
from threedim_jax.views.posed_views import PosedViews

PATHS = ("orbit", "spiral")
# From this distance, a training camera sees a chair as large as the object in a
# photo after `cutout.prepare`.
DISTANCE = camera_paths.RADIUS["chair"]


@dataclasses.dataclass(frozen=True)
class Photo:
  """A user's photo, its camera, and the camera path of the views to generate.

  Attributes:
    file: path of the picture.
    elevation: angle of the camera above the horizon, in degrees.
    azimuth: angle of the camera around the object, in degrees. At 0 the camera
      sees the object's front, at 90 its left side.
    distance: distance from the camera to the object, in units of the training
      data. None: the distance at which the object, seen with `fov`, looks as
      large as in the training pictures.
    fov: field of view of the square crop around the object, in degrees.
    path: which views to generate: "orbit" (a circle at the photo's elevation),
      "spiral" (as in the SRN test set), or the name of a JSON file that
      `read_path` can read.

  Raises:
    UserError: a number is out of range.
  """

  file: str
  elevation: float = 20.0
  azimuth: float = 0.0
  distance: float | None = None
  fov: float = camera_paths.FOV_DEG
  path: str = "orbit"

  def __post_init__(self):
    distance = DISTANCE if self.distance is None else self.distance
    limits = {
      "elevation": (self.elevation, -89.0, 89.0),
      "azimuth": (self.azimuth, -360.0, 360.0),
      "fov": (self.fov, 1.0, 120.0),
      "distance": (distance, 0.1, 100.0),
    }
    for name, (value, low, high) in limits.items():
      if not low <= value <= high:
        raise UserError(
          f"--{name}={value:g} is out of range: it must be between {low:g} and"
          f" {high:g}."
        )

  @property
  def radius(self) -> float:
    """Distance of the camera from the origin, in units of the training data."""
    if self.distance is not None:
      return self.distance
    in_training, here = (
      math.tan(math.radians(deg) / 2)
      for deg in (camera_paths.FOV_DEG, self.fov)
    )
    return DISTANCE * in_training / here

  def pose(self) -> Float[np.ndarray, "4 4"]:
    """Returns world_from_cam of the photo's camera."""
    place = camera_paths.sphere_points(
      self.azimuth, self.elevation, self.radius
    )
    return camera_paths.look_at(place)

  def K(self, resolution: int) -> Float[np.ndarray, "3 3"]:
    """Returns the intrinsic matrix of the square crop around the object.

    Args:
      resolution: height and width of the crop, in pixels.
    """
    return camera_paths.K_from_fov(resolution, self.fov)

  def targets(self, num_views: int) -> Float[np.ndarray, "N 4 4"]:
    """Returns world_from_cam of the views to generate.

    An orbit skips the azimuth of the photo itself.

    Args:
      num_views: number of views; ignored if `path`, the camera path, is a JSON
        file, because the file then lists the cameras.
    """
    if self.path == "spiral":
      return camera_paths.srn_spiral(num_views, self.radius)
    if self.path == "orbit":
      turn = np.arange(1, num_views + 1) / (num_views + 1)
      places = camera_paths.sphere_points(
        self.azimuth + 360 * turn, self.elevation, self.radius
      )
      return camera_paths.look_at(places)
    return read_path(self.path, self.radius)


def photo_from_flags(args) -> Photo:
  """Makes a `Photo` from the flags --image, --azimuth, --elevation and so on.

  Raises:
    UserError: a number is out of range.
  """
  names = ("azimuth", "elevation", "fov", "distance", "path")
  values = {name: getattr(args, name) for name in names}
  given = {name: value for name, value in values.items() if value is not None}
  return Photo(file=args.image, **given)


def read_path(
  file: epath.PathLike, radius: float | int
) -> Float[np.ndarray, "N 4 4"]:
  """Reads camera poses from a JSON file that holds a list of views.

  Each view is {"azimuth": degrees, "elevation": degrees, "distance": optional},
  or {"world_from_cam": 4x4 matrix} in OpenCV axes.

  Args:
    file: the JSON file.
    radius: distance from the origin for views without "distance".

  Returns:
    world_from_cam of every view.

  Raises:
    UserError: the file does not hold a valid list of views. The message says
      which view is wrong.
  """
  file = epath.Path(file)
  if not file.is_file():
    raise UserError(
      f"--path={file} is neither {' nor '.join(PATHS)} nor a JSON file."
    )
  try:
    entries = json.loads(file.read_bytes())
  except (ValueError, RecursionError) as e:
    raise UserError(f"{file} is not valid JSON ({e}).") from e
  if not isinstance(entries, list) or not entries:
    raise UserError(f"{file} must hold a list of at least one view.")
  poses = [
    _read_entry(
      entry if isinstance(entry, dict) else {}, f"{file}: view {i}", radius
    )
    for i, entry in enumerate(entries)
  ]
  return np.stack(poses)


def _read_entry(entry: dict, where: str, radius: float | int):
  if "world_from_cam" in entry:
    return pose_from_json(entry["world_from_cam"], f'{where}: "world_from_cam"')
  default = {"azimuth": None, "elevation": None, "distance": radius}
  angles = [entry.get(key, value) for key, value in default.items()]
  numbers = [isinstance(x, int | float) and abs(x) < 1e6 for x in angles]
  if not all(numbers) or not -89 <= angles[1] <= 89 or angles[2] <= 0:
    raise UserError(
      f'{where} needs "azimuth" and "elevation" in degrees (elevation between'
      ' -89 and 89, a "distance" above 0), or "world_from_cam", 4x4.'
    )
  return camera_paths.look_at(camera_paths.sphere_points(*angles))


def photo_scene(photo: Photo, resolution: int, num_views: int) -> Scene:
  """Reads a photo, cuts out the object and lists the views to generate.

  Args:
    photo: the picture and its camera.
    resolution: height and width of the given view, in pixels.
    num_views: number of views to generate; ignored if `photo.path`, the camera
      path, is a JSON file, because the file then lists the cameras.

  Returns:
    A `Scene` with the photo as its only given view.

  Raises:
    UserError: the picture does not exist, or the object cannot be told apart
      from the background.
  """
  image_u8 = prepare(open_photo(photo.file), resolution)
  stem = re.sub(r"[^\w-]+", "_", epath.Path(photo.file).stem).strip("_")
  # File systems limit the bytes of a name, not its characters.
  name = stem.encode()[:100].decode(errors="ignore") or "picture"
  K, first = photo.K(resolution)[None], np.zeros(1, np.int32)
  targets = np.float32(photo.targets(num_views))
  return Scene(
    given=PosedViews(image_u8[None], photo.pose()[None], K, first, name),
    targets=Camera(targets, np.float32(np.repeat(K, len(targets), axis=0))),
    index=np.arange(1, 1 + len(targets), dtype=np.int32),
  )
