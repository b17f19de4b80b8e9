# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Cuts polygons into triangles, concave ones by ear clipping.

corner, polygon = triangulate(points, counts)
"""

import mapbox_earcut
import numpy as np


def triangulate(
  points: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Cuts all polygons of a mesh into triangles.

  Args:
    points: the corners of all polygons, one polygon after the other, [C, 3].
    counts: number of corners of each polygon, int [P]. Polygons with fewer than
      three are left out.

  Returns:
    (rows of `points` for each triangle, int [T, 3]; index of its polygon, int
    [T]). Triangles are in the order of the polygons and keep their orientation.
  """
  counts = np.asarray(counts, np.int64)
  starts = np.cumsum(counts) - counts
  corners, polygons = [], []
  for n in np.unique(counts[counts >= 3]):
    which = np.flatnonzero(counts == n)
    rows = starts[which][:, None] + np.arange(n)
    fans = np.stack(
      [np.repeat(rows[:, :1], n - 2, 1), rows[:, 1:-1], rows[:, 2:]], -1
    )
    convex = np.ones(len(which), bool) if n == 3 else _is_convex(points[rows])
    corners.append(fans[convex].reshape(-1, 3))
    polygons.append(np.repeat(which[convex], n - 2))
    for i in np.flatnonzero(~convex):
      cut = _clip_ears(points[rows[i]])
      corners.append(rows[i][cut])
      polygons.append(np.full(len(cut), which[i]))
  if not corners:
    return np.zeros((0, 3), np.int64), np.zeros(0, np.int64)
  corner, polygon = np.concatenate(corners), np.concatenate(polygons)
  order = np.argsort(polygon, kind="stable")
  return corner[order], polygon[order]


def _normals(points: np.ndarray) -> np.ndarray:
  """Returns unscaled normals [P, 3] of polygons [P, N, 3] (Newell's method)."""
  points = points - points[:, :1]
  return np.cross(points, np.roll(points, -1, axis=1)).sum(1)


def _is_convex(points: np.ndarray) -> np.ndarray:
  """Returns whether a triangle fan from corner 0 covers polygons [P, N, 3]."""
  normal = _normals(points)
  a = points[:, :1]
  fan = np.cross(points[:, 1:-1] - a, points[:, 2:] - a)
  area = np.einsum("pnc,pc->pn", fan, normal)
  return (area >= 0).all(1)


def _clip_ears(points: np.ndarray) -> np.ndarray:
  """Cuts a polygon [N, 3] into triangles [T, 3], which index its corners."""
  normal = _normals(points[None])[0]
  dropped = np.abs(normal).argmax()
  flat = np.delete(points, dropped, axis=1)
  if not np.isfinite(flat).all():
    raise ValueError("a polygon has a corner that is not a finite number")
  ends = np.array([len(flat)], np.uint32)
  cut = mapbox_earcut.triangulate_float64(flat, ends).reshape(-1, 3)
  if not len(cut):  # the polygon has no area, so any triangles will do
    n = np.arange(1, len(points) - 1)
    return np.stack([0 * n, n, n + 1], -1)
  a, b, c = (points[cut[:, k]] for k in range(3))
  turned = np.einsum("tc,c->t", np.cross(b - a, c - a), normal) < 0
  return np.where(turned[:, None], cut[:, ::-1], cut).astype(np.int64)
