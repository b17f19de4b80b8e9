# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Flags of `--mode=sample` for a picture of one's own, see `sampling.photo`.

--image=photo.png [--elevation=20] [--azimuth=0] [--distance=auto]
    [--fov=52] [--path=orbit|spiral|FILE.json]
"""

from absl import flags

from threedim_jax.runtime.errors import UserError

_IMAGE = flags.DEFINE_string(
  "image", None, "sample: a picture of your own, see `photo.Photo`."
)
# How an own picture was taken, and where to look from; None: not given.
_PHOTO = {
  "elevation": flags.DEFINE_float("elevation", None, "image: degrees, 20."),
  "azimuth": flags.DEFINE_float("azimuth", None, "image: degrees, 0 = front."),
  "fov": flags.DEFINE_float("fov", None, "image: field of view, degrees."),
  "distance": flags.DEFINE_string("distance", None, "image: auto or a number."),
  "path": flags.DEFINE_string(
    "path", None, "image: views to make, orbit, spiral or a JSON file."
  ),
}
NAMES = tuple(_PHOTO)


def given() -> bool:
  """Whether the views of an own picture are asked for."""
  return bool(_IMAGE.value)


def photo():
  """The `Photo` that the flags describe; UserError names a wrong one."""
  from threedim_jax.sampling.photo import Photo

  values = {k: f.value for k, f in _PHOTO.items() if f.value is not None}
  distance = values.pop("distance", "auto")
  if distance != "auto":
    try:
      values["distance"] = float(distance)
    except ValueError as e:
      raise UserError(
        f"--distance={distance} is neither auto nor a number"
      ) from e
  return Photo(file=_IMAGE.value, **values)
