# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes coloured solids and joins them to the mesh of an object.

  parts = Parts()
  parts.add(box((0.5, 0.5, 0.05), center=(0, 0, 0.45)), rgb=(0.6, 0.4, 0.2))
  mesh = parts.mesh(radius=0.8)

A solid is (vertices [V, 3], faces [F, 3]). Every solid is a loft: a surface
through a sequence of rings of points. Axes of an object: +x is its front, +y
its left side, +z up. Lengths are metres until `Parts.mesh` scales them.
"""

import numpy as np
import trimesh

Solid = tuple[np.ndarray, np.ndarray]


def loft(rings) -> Solid:
  """Makes a solid through M rings of N points, [M, N, 3], with two caps."""
  rings = np.asarray(rings, np.float64)
  m, n, _ = rings.shape
  centers = rings[[0, -1]].mean(1)
  vertices = np.concatenate([*rings, centers])
  i, j = np.arange(m - 1)[:, None] * n, np.arange(n)
  k = (j + 1) % n
  a, b, c, d = (q.ravel() for q in (i + j, i + k, i + n + k, i + n + j))
  first, last, top = np.full(n, m * n), np.full(n, m * n + 1), (m - 1) * n
  faces = [(a, b, c), (a, c, d), (first, k, j), (last, top + j, top + k)]
  return vertices, np.concatenate([np.stack(f, -1) for f in faces])


def box(size, center) -> Solid:
  """Makes a box with edges along the axes."""
  x, y, h = size
  ends = center[2] - h / 2, center[2] + h / 2
  return loft([rectangle((x, y), center[:2], z) for z in ends])


def prism(outline, z0: float, z1: float) -> Solid:
  """Extrudes a convex outline [N, 2] in (x, y) from z0 to z1."""
  return loft([ring(outline, z) for z in (z0, z1)])


def plate(outline, x: float, thickness: float, z: float) -> Solid:
  """Extrudes a convex outline [N, 2] in (y, z) along x around (x, 0, z)."""
  vertices, faces = prism(outline, -thickness / 2, thickness / 2)
  return np.roll(vertices, 1, axis=1) + [x, 0, z], faces


def bar(start, end, radius: float, end_radius=None, sections=10) -> Solid:
  """Makes a round bar or cone between two points; 4 sections make it square."""
  start, end = np.asarray(start, float), np.asarray(end, float)
  axis = (end - start) / np.linalg.norm(end - start)
  u = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
  u /= np.linalg.norm(u)
  angle = _angles(sections)
  circle = np.outer(np.cos(angle), u)
  circle += np.outer(np.sin(angle), np.cross(axis, u))
  end_radius = radius if end_radius is None else end_radius
  return loft([start + radius * circle, end + end_radius * circle])


def rectangle(size, center, z: float) -> np.ndarray:
  """Returns a ring [4, 3]: a horizontal rectangle of `size` (x, y) at z."""
  corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
  return ring(corners * size + center, z)


def ring(outline, z: float) -> np.ndarray:
  """Lifts an outline [N, 2] in (x, y) to a ring [N, 3] at height z."""
  return np.column_stack([outline, np.full(len(outline), z)])


def superellipse(size, exponent: float, sections=32) -> np.ndarray:
  """Returns an outline [N, 2]: an ellipse at exponent 2, squarer if larger."""
  angle = _angles(sections)
  c, s = np.cos(angle), np.sin(angle)
  power = 2 / exponent
  unit = np.stack([np.sign(c) * abs(c) ** power, np.sign(s) * abs(s) ** power])
  return unit.T * np.asarray(size) / 2


def tilt(solid: Solid, degrees: float, pivot) -> Solid:
  """Leans a solid backwards (its top towards -x) around `pivot` (x, z)."""
  vertices, faces = solid
  c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
  x, z = vertices[:, 0] - pivot[0], vertices[:, 2] - pivot[1]
  moved = [c * x - s * z + pivot[0], vertices[:, 1], s * x + c * z + pivot[1]]
  return np.stack(moved, -1), faces


def _angles(sections: int) -> np.ndarray:
  return (np.arange(sections) + 0.5) * 2 * np.pi / sections


class Parts:
  """Collects coloured solids and joins them into one mesh."""

  def __init__(self):
    self._vertices, self._faces, self._colors = [], [], []
    self._num_vertices = 0

  def add(self, solid: Solid, rgb) -> None:
    vertices, faces = solid
    self._vertices.append(vertices)
    self._faces.append(faces + self._num_vertices)
    self._colors.append(np.tile(np.asarray(rgb, float), (len(faces), 1)))
    self._num_vertices += len(vertices)

  def mesh(self, radius: float) -> trimesh.Trimesh:
    """Joins all solids to one mesh, centred, inside a sphere of `radius`."""
    vertices = np.concatenate(self._vertices)
    vertices -= (vertices.min(0) + vertices.max(0)) / 2
    vertices *= radius / np.linalg.norm(vertices, axis=-1).max()
    rgb = np.concatenate(self._colors).clip(0, 1) * 255 + 0.5
    return trimesh.Trimesh(
      vertices,
      np.concatenate(self._faces),
      face_colors=rgb.astype(np.uint8),
      process=False,
    )
