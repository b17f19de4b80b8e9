# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes the orbit viewer: a page on which the user can turn an object.

  write_viewer(folder, read_sample(folder))  # -> .../chair_7/viewer.html

While the user drags the picture, the page shows the nearest view.
templates/page.html lays out the page, and viewer.js shows one view at a time.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from etils import epath
from jaxtyping import Float
import numpy as np

from threedim_jax.viewing.page import Text, picture_uri, write_page
from threedim_jax.views import metrics
from threedim_jax.views.lines import nearest_point
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir.protocol import spread
from threedim_jax.workdir.samples import ObjectSamples

HOW_TO = (
  "Drag to turn the camera, or use the wheel, the arrow keys, Home (given view)"
  " and space (play). Every picture is a real frame."
)
FACTS = {  # how keys of `ObjectSamples.info` are shown
  "num_sample_steps": "{} steps",
  "guidance_weight": "guidance {}",
  "conditioning": "{} conditioning",
}


class Orbit(NamedTuple):
  """A page block in which the user turns one object by dragging its picture.

  All pictures are stored as data URIs.
  """

  object_id: str
  label: str
  numbers: Mapping[str, Sequence[str]]  # by row
  facts: str
  frames: list[dict[str, Any]]  # in the order of the strip
  given_src: str
  num_given: int
  has_truth: bool
  hw: tuple[int, int]
  is_alone: bool  # whether the page shows only this object, as its title says
  kind = "orbit"


def view_angles(
  world_from_cam: Float[np.ndarray, "N 4 4"],
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
  """Returns the azimuths and elevations of cameras, in degrees.

  The angles give the direction to each camera from the point that is nearest to
  all optical axes. Azimuths are from -180 to 180; 0 is along +x, and 90 is
  along +y. Elevations are from -90 to 90; 90 is along +z, which is up.

  Args:
    world_from_cam: camera-to-world matrices.
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
  """Makes a page block with the given, generated and true views of an object.

  The views are sorted by their indices in the data set. If any view has no
  index, the given views come first, and the generated views follow in the order
  in which they were generated.

  Args:
    label: text beside the object's id, such as its rank.
    numbers: the object's scores as text, from `tables.score_texts`.
    max_views: show at most this many generated views, evenly spaced. None: show
      all views.
    is_alone: whether the page shows only this object.
  """
  views, truth = sampled.given + sampled.generated, sampled.truth
  num_given, num_generated = len(sampled.given), len(sampled.generated)
  generated = range(num_given, len(views))
  order = [*range(num_given), *spread(generated, max_views or num_generated)]
  if (views.index >= 0).all():
    order.sort(key=lambda i: views.index[i])
  info = sampled.info
  facts = [f"{num_given} given view{'s' * (num_given > 1)}"]
  facts += [f"{num_generated} generated"]
  facts += [text.format(info[k]) for k, text in FACTS.items() if k in info]
  if isinstance(seconds := info.get("seconds_per_view"), int | float):
    facts.append(f"{seconds:.2g} s a view")
  return Orbit(
    object_id=sampled.object_id,
    label=label,
    numbers=numbers or {},
    facts=", ".join(facts),
    frames=_frames(sampled, views, order),
    given_src=picture_uri(views.images_u8[0]),
    num_given=num_given,
    has_truth=truth is not None,
    hw=views.hw,
    is_alone=is_alone,
  )


def _frames(
  sampled: ObjectSamples, views: PosedViews, order: Sequence[int]
) -> list[dict[str, Any]]:
  """Returns what the page shows of each view: picture, label, angles and PSNR.

  The views are in the order of the strip, which is the row of small pictures
  below the viewer.

  Args:
    views: the given views, then the generated views.
    order: indices into `views`, in the order in which the views are shown.
  """
  num_given, truth = len(sampled.given), sampled.truth
  azimuths, elevations = view_angles(views.world_from_cam)
  # On the map, the pole is the centre and the horizon is the unit circle.
  radii = np.minimum((90 - elevations) / 90, 1.15)
  frames = []
  for i in order:
    is_given, angle = i < num_given, np.radians(azimuths[i])
    has_index = views.index[i] >= 0
    frame = {
      "index": len(frames),
      "given": is_given,
      "label": f"view {views.index[i]}" if has_index else f"#{i - num_given}",
      "note": "given" if is_given else "",
      "azimuth": float(azimuths[i]),
      "elevation": float(elevations[i]),
      "map_x": radii[i] * np.cos(angle),
      "map_y": -radii[i] * np.sin(angle),
      "src": picture_uri(views.images_u8[i]),
      "truth_src": None,
    }
    if truth is not None and not is_given:
      truth_u8 = truth.images_u8[i - num_given]
      pair = (views.images_u8[i] / 255, truth_u8 / 255)
      frame["note"] = f"{metrics.psnr(*(x[None] for x in pair))[0]:.1f} dB"
      frame["truth_src"] = picture_uri(truth_u8)
    frames.append(frame)
  return frames


def write_viewer(folder: epath.PathLike, sampled: ObjectSamples) -> epath.Path:
  """Writes viewer.html into an object's folder; returns the page's path."""
  return write_page(
    epath.Path(folder) / "viewer.html",
    sampled.object_id,
    kind="views of one object",
    sections={"": [orbit(sampled, is_alone=True), Text(HOW_TO)]},
  )
