# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws some views of each object together with the object's bounding sphere.

  sheet_u8 = contact_sheet(objects, check_cameras(objects))

A ring marks the sphere's outline and a cross marks its centre, as the stored
cameras see them. If the cameras are right, the ring encloses the object and the
cross lies in the object's middle.
"""

from collections.abc import Sequence

import cv2
from jaxtyping import Float, UInt8
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from threedim_jax.inputs.camera_check.checks import Report
from threedim_jax.inputs.camera_check.hypotheses import STORED
from threedim_jax.inputs.camera_check.silhouettes import Sphere, project
from threedim_jax.views import image_grid
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir.protocol import spread

STORED_COLOUR, BEST_COLOUR = "#d1495b", "#2a9d6f"
_CELL = 128  # pixels
_COLUMNS = 8


def contact_sheet(
  objects: Sequence[PosedViews], report: Report
) -> UInt8[np.ndarray, "H W 3"]:
  """Draws one row of views per object, or up to three rows for a single object.

  Red rings show each object's bounding sphere as the stored cameras see it. If
  the report names a likely mistake, green rings show the bounding sphere as the
  cameras see it after the mistake is undone.
  """
  drawn = [(STORED, report.spheres, STORED_COLOUR)]
  if report.best is not STORED:
    drawn.append((report.best, report.best_spheres, BEST_COLOUR))
  rows, labels = [], []
  num_rows = 3 if len(objects) == 1 else 1
  for views in objects:
    chosen = list(spread(range(len(views.images_u8)), num_rows * _COLUMNS))
    cells = [_cell(image_u8) for image_u8 in views.images_u8[chosen]]
    for hypothesis, spheres, colour in drawn:
      if views.name not in spheres:
        continue
      sphere = spheres[views.name]
      cameras = hypothesis.undo(views.world_from_cam[chosen], views.K[chosen])
      cells = [
        _with_sphere(cell, views.hw, sphere, *camera, colour)
        for cell, *camera in zip(cells, *cameras, strict=True)
      ]
    for i in range(0, len(cells), _COLUMNS):
      rows.append(cells[i : i + _COLUMNS])
      labels.append("" if i else views.name[-28:])
  grid = image_grid.image_grid(rows, row_labels=labels, min_side=_CELL)
  return _under_title(grid, _title(report))


def _headline(report: Report) -> str:
  if not report.faults:
    return "Pictures and cameras agree."
  undone = report.best is not STORED
  named = [
    report.best.name if undone and check.name == "silhouettes" else check.name
    for check in report.faults
  ]
  return f"FAULT: {'; '.join(named)}."


def _title(report: Report) -> list[str]:
  lines = [_headline(report)]
  if report.spheres:
    lines.append(
      "Red: the object's bounding sphere and its centre, as the stored cameras"
      " see them."
    )
  if report.best is not STORED:
    lines.append("Green: the same after the fault is undone.")
  return lines


def _under_title(
  image_u8: UInt8[np.ndarray, "H W 3"], lines: Sequence[str]
) -> UInt8[np.ndarray, "H2 W 3"]:
  font = ImageFont.load_default(size=15)
  height = 22 * len(lines) + 6
  canvas = np.full((height, *image_u8.shape[1:]), image_grid.PAPER, np.uint8)
  image = Image.fromarray(np.vstack([canvas, image_u8]))
  draw = ImageDraw.Draw(image)
  for i, line in enumerate(lines):
    draw.text((10, 8 + 22 * i), line, fill=image_grid.INK, font=font)
  return np.array(image)


def _cell(image_u8: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H2 W2 3"]:
  """Resizes a picture so that its shorter side has at least `_CELL` pixels."""
  h, w = image_u8.shape[:2]
  if min(h, w) <= _CELL:
    return image_grid.upscale(image_u8, _CELL)
  size = round(w * _CELL / min(h, w)), round(h * _CELL / min(h, w))
  return cv2.resize(image_u8, size, interpolation=cv2.INTER_AREA)


def _with_sphere(
  cell: UInt8[np.ndarray, "H W 3"],
  hw: tuple[int, int],
  sphere: Sphere,
  world_from_cam: Float[np.ndarray, "4 4"],
  K: Float[np.ndarray, "3 3"],
  colour: str,
) -> UInt8[np.ndarray, "H W 3"]:
  """Draws a sphere's outline, and a cross at its centre, onto a picture.

  Args:
    cell: the picture, resized for the contact sheet.
    hw: height and width of the original picture, in pixels.
    K: intrinsics, in pixels of the original picture.
  """
  times = np.divide(cell.shape[1::-1], hw[::-1])
  image = Image.fromarray(cell)
  draw = ImageDraw.Draw(image)
  to_center = sphere.center - world_from_cam[:3, 3]
  distance = np.linalg.norm(to_center)
  depth = to_center @ world_from_cam[:3, 2]
  if depth <= 0 or distance <= sphere.radius:
    text = "behind camera" if depth <= 0 else "camera inside"
    draw.text((4, cell.shape[0] - 14), text, fill=colour)
    return np.array(image)
  # The outline is the circle of points where the camera's rays touch the
  # sphere.
  forward = to_center / distance
  side = np.linalg.svd(forward[None])[2][1:]
  sine = sphere.radius / distance
  angle = np.linspace(0, 2 * np.pi, 73)
  ring = sphere.radius * np.sqrt(1 - sine**2) * (
    np.cos(angle)[:, None] * side[0] + np.sin(angle)[:, None] * side[1]
  ) + (sphere.center - sphere.radius * sine * forward)
  px, _ = project(ring, world_from_cam, K)
  px = px[np.isfinite(px).all(1)] * times
  draw.line([tuple(p) for p in px], fill=colour, width=2)
  x, y = project(sphere.center[None], world_from_cam, K)[0][0] * times
  if not (0 <= x < cell.shape[1] and 0 <= y < cell.shape[0]):
    draw.text((4, cell.shape[0] - 14), "outside the picture", fill=colour)
  draw.line([(x - 6, y), (x + 6, y)], fill=colour, width=2)
  draw.line([(x, y - 6), (x, y + 6)], fill=colour, width=2)
  return np.array(image)
