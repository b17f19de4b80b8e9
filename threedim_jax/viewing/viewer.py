# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The orbit viewer: drag the picture and the nearest real frame is shown.

  write_viewer(folder, read_sample(folder))  # -> .../chair_7/viewer.html

templates/page.html lays out one object and viewer.js moves it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from etils import epath
from jaxtyping import Float
import numpy as np

from threedim_jax.viewing.page import Text, data_uri, write_page
from threedim_jax.views import metrics
from threedim_jax.views.lines import nearest_point
from threedim_jax.views.png import encode_png
from threedim_jax.workdir.protocol import spread
from threedim_jax.workdir.samples import ObjectSamples

HOW_TO = (
  "Drag to turn the camera, or use the wheel, the arrow keys, Home (given view)"
  " and space (play). Every picture is a real frame."
)
FACTS = {  # how a folder's `info` is told
  "num_sample_steps": "{} steps",
  "guidance_weight": "guidance {}",
  "conditioning": "{} conditioning",
}


class Orbit(NamedTuple):
  """One object as a block for `page.write_page`; pictures are data URIs."""

  object_id: str
  label: str
  numbers: Mapping[str, Sequence[str]]  # by row
  facts: str
  frames: list[dict[str, Any]]  # in the order of the strip
  given_src: str
  num_given: int
  has_truth: bool
  hw: tuple[int, int]
  is_alone: bool  # on its page, which then names the object
  kind = "orbit"


def view_angles(
  world_from_cam: Float[np.ndarray, "N 4 4"],
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
  """Azimuth (-180 to 180; 0 is +x, 90 is +y) and elevation, in degrees.

  They are measured at the point that is nearest to all optical axes; z is up.
  """
  world_from_cam = world_from_cam.astype(np.float64)
  position, forward = world_from_cam[:, :3, 3], world_from_cam[:, :3, 2]
  center, _ = nearest_point(position, forward)
  x, y, z = (position - center).T
  return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def orbit(
  sampled: ObjectSamples,
  *,
  label: str = "",
  numbers: Mapping[str, Sequence[str]] | None = None,
  max_views: int | None = None,
  is_alone: bool = False,
) -> Orbit:
  """The given, generated and true views of one object.

  Args:
    sampled: the object.
    label: beside the object's id.
    numbers: the object's scores as text, by row.
    max_views: shows so many of the generated views, evenly spread.
    is_alone: whether the page shows nothing else.
  """
  views, truth = sampled.given + sampled.generated, sampled.truth
  num_given, num_generated = len(sampled.given), len(sampled.generated)
  angles = view_angles(views.world_from_cam)
  generated = range(num_given, len(views))
  order = [*range(num_given), *spread(generated, max_views or num_generated)]
  if (views.index >= 0).all():  # else as generated
    order.sort(key=lambda i: views.index[i])
  psnr = None
  if truth is not None:
    images = sampled.generated.images_u8 / 255
    psnr = metrics.psnr(images, truth.images_u8 / 255)
  frames = []
  for i in order:
    azimuth, elevation = (float(angle[i]) for angle in angles)
    index = views.index[i]
    # On the map the pole is the middle and the horizon is the unit circle.
    radius = min((90 - elevation) / 90, 1.15)
    frame = {
      "index": len(frames),
      "given": i < num_given,
      "label": f"view {index}" if index >= 0 else f"#{i - num_given}",
      "note": "given" if i < num_given else "",
      "azimuth": azimuth,
      "elevation": elevation,
      "map_x": radius * np.cos(np.radians(azimuth)),
      "map_y": -radius * np.sin(np.radians(azimuth)),
      "src": data_uri(encode_png(views.images_u8[i])),
      "truth_src": None,
    }
    if i >= num_given and psnr is not None:
      truth_u8 = truth.images_u8[i - num_given]
      frame["truth_src"] = data_uri(encode_png(truth_u8))
      frame["note"] = f"{psnr[i - num_given]:.1f} dB"
    frames.append(frame)
  facts = [f"{num_given} given view{'s' * (num_given > 1)}"]
  facts += [f"{num_generated} generated"]
  info = sampled.info
  facts += [text.format(info[k]) for k, text in FACTS.items() if k in info]
  if isinstance(seconds := info.get("seconds_per_view"), int | float):
    facts.append(f"{seconds:.2g} s a view")
  return Orbit(
    object_id=sampled.object_id,
    label=label,
    numbers=numbers or {},
    facts=", ".join(facts),
    frames=frames,
    given_src=data_uri(encode_png(views.images_u8[0])),
    num_given=num_given,
    has_truth=truth is not None,
    hw=views.hw,
    is_alone=is_alone,
  )


def write_viewer(folder: epath.PathLike, sampled: ObjectSamples) -> epath.Path:
  """Writes `viewer.html` of the views into the folder."""
  return write_page(
    epath.Path(folder) / "viewer.html",
    sampled.object_id,
    kind="views of one object",
    sections={"": [orbit(sampled, is_alone=True), Text(HOW_TO)]},
  )
