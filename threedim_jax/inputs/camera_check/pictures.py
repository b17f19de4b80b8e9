# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The two pictures of --mode=check_data: cameras in 3D, and a contact sheet.

  png = cameras_png(objects, report)
  sheet_u8 = contact_sheet(objects, report)

On the sheet the bounding sphere of each object and its centre are drawn where
the stored cameras see them: a ring that hugs the object and a cross in its
middle mean that pictures and cameras fit.
"""

from collections.abc import Sequence
import io

import cv2
from jaxtyping import Float, UInt8
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from threedim_jax.inputs.camera_check.checks import Report
from threedim_jax.inputs.camera_check.hypotheses import STORED, Hypothesis
from threedim_jax.inputs.camera_check.silhouettes import Sphere, project
from threedim_jax.views import image_grid
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir.protocol import spread

STORED_COLOUR, BEST_COLOUR = "#d1495b", "#2a9d6f"
_AXES = ("#c0392b", "#27863b", "#2c5fb3")  # x, y, z
_OBJECTS = ("#3f6fb0", "#d9822b")  # drawn in 3D
_CELL = 128  # pixels
_COLUMNS = 8


def contact_sheet(
  objects: Sequence[PosedViews], report: Report
) -> UInt8[np.ndarray, "H W 3"]:
  """A row for each object (three of one alone): its views, with the sphere."""
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
      cameras = _undone(views, hypothesis, chosen)
      cells = [
        _with_sphere(cell, views.hw, sphere, *camera, colour)
        for cell, *camera in zip(cells, *cameras, strict=True)
      ]
    for i in range(0, len(cells), _COLUMNS):
      rows.append(cells[i : i + _COLUMNS])
      labels.append("" if i else views.name[-28:])
  grid = image_grid.image_grid(rows, row_labels=labels, min_side=_CELL)
  return _under_title(grid, _title(report))


def cameras_png(objects: Sequence[PosedViews], report: Report) -> bytes:
  """Cameras of two objects as stored: in 3D, from above and from the side.

  With bounding spheres, the axes of the world, and a thin line from each
  camera to where it looks, as far as the origin is away.
  """
  from matplotlib.figure import Figure

  shown = [objects[i] for i in sorted({0, len(objects) - 1})]
  spheres = [report.spheres.get(o.name) for o in shown]
  places = [o.world_from_cam[:, :3, 3] for o in shown]
  places += [s.center[None] for s in spheres if s is not None]
  span = np.vstack([*places, np.zeros((1, 3))])
  span = span[np.isfinite(span).all(1)]
  center = (span.min(0) + span.max(0)) / 2
  reach = max(np.ptp(span, axis=0).max() * 0.6, 1e-3)
  limits = np.stack([center - reach, center + reach], 1)
  figure = Figure(figsize=(15, 6), layout="constrained")
  sides = (("in space", 22, -58), ("from above", 90, -90), ("from -y", 0, -90))
  for i, (title, elevation, azimuth) in enumerate(sides):
    ax = figure.add_subplot(1, 3, i + 1, projection="3d")
    ax.set_proj_type("ortho" if i else "persp")
    ax.view_init(elevation, azimuth)
    ax.set_title(title, fontsize=12, y=0.98)
    for views, sphere, colour in zip(shown, spheres, _OBJECTS, strict=False):
      _draw_cameras(ax, views, reach * 0.12, colour)
      if sphere is not None and _is_outside(views, sphere):
        _draw_sphere(ax, sphere, colour)
    _draw_axes(ax, reach * 0.5)
    ax.set(xlim=limits[0], ylim=limits[1], zlim=limits[2])
    ax.set_box_aspect((1, 1, 1), zoom=1.3 if i else 1.1)
    ax.tick_params(labelsize=8)
    if elevation == 90:  # what lies along the line of sight is only a smear
      ax.set_zticks([])
    elif elevation == 0:
      ax.set_yticks([])
  handles, labels = figure.axes[0].get_legend_handles_labels()
  figure.legend(handles, labels, loc="outside lower center", ncols=2)
  figure.suptitle(f"{_headline(report)} Cameras as they are stored:")
  data = io.BytesIO()
  figure.savefig(data, format="png", dpi=100)
  return data.getvalue()


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
      "Red ring and cross: the object's bounding sphere and its centre, where"
      " the stored cameras see them."
    )
  if report.best is not STORED:
    lines.append("Green: the same when the fault is undone.")
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
  """Small pictures enlarged by a whole factor, large ones averaged."""
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
  """The outline of the sphere and a cross at its centre."""
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
  # The circle of tangent rays, which is what is seen as the outline.
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


def _undone(
  views: PosedViews, hypothesis: Hypothesis, chosen: list[int]
) -> tuple[np.ndarray, np.ndarray]:
  return hypothesis.undo(views.world_from_cam[chosen], views.K[chosen])


def _draw_axes(ax, length: float) -> None:
  """The axes of the world, from its origin."""
  for axis, colour, tip in zip("xyz", _AXES, np.eye(3) * length, strict=True):
    ax.plot(*np.stack([np.zeros(3), tip]).T, color=colour, linewidth=2.5)
    ax.text(*tip * 1.12, axis, color=colour, fontsize=12, weight="bold")


def _draw_cameras(ax, views: PosedViews, size: float, colour: str) -> None:
  """Pyramids from the eye to the picture; a roof marks its upper side."""
  from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

  h, w = views.hw
  # Corners of the picture, then the tip of the roof, in pixels.
  px = [(0, 0, 1), (w, 0, 1), (w, h, 1), (0, h, 1), (w / 2, -h / 3, 1)]
  edges, pictures, roofs, aims = [], [], [], []
  for pose, K in zip(views.world_from_cam, views.K, strict=True):
    if not np.isfinite([*pose.flat, *K.flat]).all() or not np.linalg.det(K):
      continue
    cam = np.linalg.solve(K, np.transpose(px)).T
    cam *= size / np.abs(cam[:2] - cam[3]).max()
    eye = pose[:3, 3]
    a, b, c, d, roof = cam @ pose[:3, :3].T + eye
    edges.append([eye, a, b, c, d, a, eye, b, c, eye, d])
    pictures.append([a, b, c, d])
    roofs.append([a, roof, b])
    aims.append([eye, eye + pose[:3, 2] * np.linalg.norm(eye)])
  label = f"{views.name} ({len(views.images_u8)} views)"
  ax.plot([], [], [], color=colour, linewidth=4, label=label)
  if not edges:
    return
  line = {"colors": colour}
  ax.add_collection3d(Line3DCollection(edges, linewidths=0.8, **line))
  ax.add_collection3d(
    Line3DCollection(aims, linewidths=0.5, alpha=0.35, **line)
  )
  for faces, alpha in ((pictures, 0.3), (roofs, 0.8)):
    ax.add_collection3d(Poly3DCollection(faces, color=colour, alpha=alpha))


def _is_outside(views: PosedViews, sphere: Sphere) -> bool:
  """All cameras are: a sphere for cameras that cannot be right is none."""
  offset = views.world_from_cam[:, :3, 3] - sphere.center
  return bool(np.linalg.norm(offset, axis=1).min() > sphere.radius)


def _draw_sphere(ax, sphere: Sphere, colour: str) -> None:
  u = np.linspace(0, 2 * np.pi, 25)[:, None]
  v = np.linspace(0, np.pi, 13)[None]
  unit = (np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v) + 0 * u)
  x, y, z = (
    c + sphere.radius * n for c, n in zip(sphere.center, unit, strict=True)
  )
  ax.plot_wireframe(x, y, z, color=colour, linewidth=0.4, alpha=0.6)
