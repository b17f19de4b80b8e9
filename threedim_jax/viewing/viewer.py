# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The drag-to-orbit viewer of real frames, as one HTML file per object.

  write_viewer(folder, read_sample(folder))  # -> .../chair_7/viewer.html

`object.html` lays out one object, `viewer.js` moves it, `page.css` styles it;
the report shows the same three. A page holds its pictures itself and asks the
network for nothing. The templates escape whatever comes from a file.
"""

import base64
import pathlib
from typing import Any

from etils import epath
from jaxtyping import Float, UInt8
import jinja2
import numpy as np

from threedim_jax.views.lines import nearest_point
from threedim_jax.views.png import encode_png
from threedim_jax.workdir import samples

_TEMPLATES = jinja2.Environment(
  loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates"),
  autoescape=True,
  undefined=jinja2.StrictUndefined,
  trim_blocks=True,
  lstrip_blocks=True,
)


def render_page(template: str, **context: Any) -> str:
  """Fills one of the package's templates."""
  return _TEMPLATES.get_template(template).render(**context)


def data_uri(data: bytes) -> str:
  return "data:image/png;base64," + base64.b64encode(data).decode()


def view_angles(
  world_from_cam: Float[np.ndarray, "N 4 4"],
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
  """Azimuth (-180 .. 180; 0 is +x, 90 is +y) and elevation, in degrees.

  Both are seen from the point nearest to all optical axes; z is up.
  """
  world_from_cam = world_from_cam.astype(np.float64)
  position, forward = world_from_cam[:, :3, 3], world_from_cam[:, :3, 2]
  center, _ = nearest_point(position, forward)
  x, y, z = (position - center).T
  return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def object_context(sampled: samples.ObjectSamples) -> dict[str, Any]:
  """What `object.html` needs to show one object."""
  views, num_given = sampled.given + sampled.generated, len(sampled.given)
  images_u8, view = views.images_u8, views.index
  azimuth, elevation = view_angles(views.world_from_cam)
  # The map of cameras: the pole is the middle, the horizon the unit circle.
  radius = np.minimum((90 - elevation) / 90, 1.15)
  map_x, map_y = (
    radius * np.cos(np.radians(azimuth)),
    -radius * np.sin(np.radians(azimuth)),
  )
  frames = []
  for index, i in enumerate(_path_order(view)):
    frame = {
      "index": index,
      "given": i < num_given,
      "label": f"view {view[i]}" if view[i] >= 0 else f"#{i - num_given}",
      "azimuth": float(azimuth[i]),
      "elevation": float(elevation[i]),
      "map_x": float(map_x[i]),
      "map_y": float(map_y[i]),
      "src": data_uri(encode_png(images_u8[i])),
      "truth_src": None,
      "note": "given" if i < num_given else "",
    }
    if not frame["given"] and sampled.truth is not None:
      truth_u8 = sampled.truth.images_u8[i - num_given]
      frame["truth_src"] = data_uri(encode_png(truth_u8))
      frame["note"] = f"{_psnr(images_u8[i], truth_u8):.1f} dB"
    frames.append(frame)
  height, width = views.hw
  return {
    "object_id": sampled.object_id,
    "info": sampled.info,
    "frames": frames,
    "given_src": data_uri(encode_png(images_u8[0])),
    "num_given": num_given,
    "num_generated": len(sampled.generated),
    "has_truth": sampled.truth is not None,
    "width": width,
    "height": height,
  }


def _path_order(view) -> list[int]:
  """Order in which play, arrows and the strip go through the frames.

  By pose index where all are known; else as generated, given views first.
  """
  if (view >= 0).all():
    return np.argsort(view, kind="stable").tolist()
  return list(range(len(view)))


def _psnr(a_u8: UInt8[np.ndarray, "H W 3"], b_u8: UInt8[np.ndarray, "H W 3"]):
  error = np.mean((a_u8.astype(np.float64) - b_u8) ** 2)
  return 10 * np.log10(255**2 / error) if error else np.inf


def write_viewer(
  folder: epath.PathLike, sampled: samples.ObjectSamples
) -> epath.Path:
  """Writes `viewer.html` of the views into the folder."""
  path = epath.Path(folder) / "viewer.html"
  path.write_text(render_page("viewer.html", object=object_context(sampled)))
  return path
