# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the face of an object that a ray sees.

  visible = VisibleFaces(paint, triangles)
  face = visible(pos, dirs)    # -1: the ray meets nothing

This is the first face that the ray hits, with three exceptions:

- Coincident faces. Many models have each surface twice, back to back, with a
  different material on the inside. Of faces within `TWIN_DISTANCE`, the face
  that is turned to the camera is shown. Of faces within `TIE_DISTANCE` with
  equal orientation, the last face of the file is shown.
- A one-sided face (glTF) that the ray hits from behind is skipped.
- A face whose texture is transparent at the hit is skipped.

Of several coincident faces embree returns an arbitrary one, which changes from
view to view. So coincident faces are put into different embree scenes, called
layers: one layer for each of two orientations, and more layers if faces with
equal orientation coincide.
"""

from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
import numpy as np
from surfaces import Paint

# Objects have a radius of about 0.8.
TWIN_DISTANCE = 5e-5  # between faces back to back
TIE_DISTANCE = 4e-6  # between faces that are turned alike
_LEAST_COS = 0.02  # limits the search along rays that graze a face
_EMBREE_SIZE = 100.0  # objects are scaled to it, for the precision of float32
_PLANE_GRID = 1e-3  # planes whose normals and offsets are nearer may coincide
_PAIRS_AT_A_TIME = 200_000


class VisibleFaces:
  """Finds the visible faces of one object. Holds its embree scenes."""

  def __init__(self, paint: Paint, triangles: np.ndarray, with_twins: bool):
    """Builds the embree scenes.

    Args:
      paint: knows where faces are transparent, and which are one-sided.
      triangles: corners of all faces, float64 [F, 3, 3].
      with_twins: whether to look for coincident faces.
    """
    self._paint = paint
    a, b, c = np.moveaxis(triangles, 1, 0)
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = normals / np.maximum(length, np.finfo(float).tiny)
    # Row -1 belongs to rays that hit nothing.
    self.normals = np.vstack([normals, np.zeros(3)])
    self._offsets = np.einsum("fc,fc->f", a, normals)
    layers = np.zeros(len(triangles), int)
    if with_twins:
      layers = _layers(triangles, normals, paint.looks())
    box = triangles.min((0, 1)), triangles.max((0, 1))
    self._origin = box[0]
    self._scale = _EMBREE_SIZE / max(np.linalg.norm(box[1] - box[0]), 1e-30)
    self._layers = []
    for i in np.unique(layers):
      faces = np.flatnonzero(layers == i)
      corners = (triangles[faces].reshape(-1, 3) - self._origin) * self._scale
      scene = rtcore_scene.EmbreeScene()
      indices = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
      TriangleMesh(scene, corners.astype(np.float32), indices)
      self._layers.append((scene, np.append(faces, -1)))
    self._one_hit_is_enough = (
      len(self._layers) == 1
      and not paint.has_holes.any()
      and paint.two_sided.all()
    )

  def __call__(self, pos: np.ndarray, dirs: np.ndarray) -> np.ndarray:
    """Returns faces [N] seen from `pos` along `dirs` [N, 3], or -1."""
    if self._one_hit_is_enough:
      return self._hits(pos, dirs, 0.0)[0][0]
    shown = np.full(len(dirs), -1)
    start = np.zeros(len(dirs))
    rays = np.arange(len(dirs))
    while len(rays):
      faces, depths = self._hits(pos, dirs[rays], start[rays])
      face, window_end = self._first_seen(faces, depths, pos, dirs[rays])
      shown[rays] = face
      start[rays] = window_end
      rays = rays[(face < 0) & np.isfinite(window_end)]
    return shown

  def _hits(self, pos, dirs, start) -> tuple[np.ndarray, np.ndarray]:
    """Finds the first face that each ray hits in each layer, and its depth.

    Both arrays are [L, N]. Depths are in units of `dirs`. Rays begin at depth
    `start`.
    """
    start = np.broadcast_to(start, len(dirs))
    origins = (pos + start[:, None] * dirs - self._origin) * self._scale
    origins, directions = origins.astype(np.float32), dirs.astype(np.float32)
    if self._one_hit_is_enough:
      scene, numbers = self._layers[0]
      return numbers[scene.run(origins, directions)][None], None
    faces, depths = [], []
    for scene, numbers in self._layers:
      out = scene.run(origins, directions, output=True)
      face = numbers[out["primID"]]
      coarse = start + out["tfar"] / self._scale
      # The depth in float64, from the plane of the face.
      cos = np.einsum("nc,nc->n", dirs, self.normals[face])
      away = self._offsets[face] - self.normals[face] @ pos
      with np.errstate(divide="ignore", invalid="ignore"):
        depth = away / cos
      near = np.abs(depth - coarse) < 1e-4
      depth = np.where(near, depth, coarse)
      depths.append(np.where(face < 0, np.inf, depth))
      faces.append(face)
    return np.array(faces), np.array(depths)

  def _first_seen(
    self, faces: np.ndarray, depths: np.ndarray, pos, dirs
  ) -> tuple[np.ndarray, np.ndarray]:
    """Chooses the face to show among the first hits [L, N] of all layers.

    Returns:
      (face [N] of each ray, depth [N] just behind its hits). If the ray passes
      all hits, the face is -1 and the search continues from this depth. The
      depth is inf if the ray hits nothing.
    """
    columns = np.arange(len(dirs))
    nearest = depths.argmin(0)
    depth = depths[nearest, columns]
    cos = np.einsum("nc,lnc->ln", dirs, self.normals[faces])
    steep = np.abs(cos[nearest, columns]) / np.linalg.norm(dirs, axis=-1)
    window = TWIN_DISTANCE / np.maximum(steep, _LEAST_COS)
    window /= np.linalg.norm(dirs, axis=-1)
    end = depth + window
    candidate = depths <= end
    front = cos < 0
    candidate &= (faces >= 0) & (front | self._paint.two_sided[faces])
    # Faces turned to the camera come first, then by depth, then the last face
    # of the file.
    turned_alike = np.where(candidate, np.where(front, 1, 2), 0)
    behind = np.zeros(depths.shape)
    for kind in (1, 2):
      n = turned_alike == kind
      first = np.where(n, depths, np.inf).min(0)
      first = np.where(np.isfinite(first), first, 0)
      behind = np.where(n, depths - first, behind)
    behind = np.where(behind * TWIN_DISTANCE < window * TIE_DISTANCE, 0, behind)
    order = np.lexsort((-faces, behind, ~front, ~candidate), axis=0)
    shown = np.full(len(dirs), -1)
    for layer in order:
      face = faces[layer, columns]
      n = np.flatnonzero((shown < 0) & candidate[layer, columns])
      n = n[self._paint.is_solid(face[n], pos, dirs[n])]
      shown[n] = face[n]
    return shown, end


def _layers(
  triangles: np.ndarray, normals: np.ndarray, looks: np.ndarray
) -> np.ndarray:
  """Assigns layers [F] so that coincident faces are in different layers.

  If all faces look the same, one layer is enough.
  """
  if (looks == looks[0]).all():
    return np.zeros(len(triangles), int)
  turned = (normals @ _generic_direction(normals) > 0).astype(int)
  extra = np.zeros(len(triangles), int)
  # Copies of a face that look alike share a layer. A file may repeat a face a
  # thousand times, so only the last copy is compared with other faces.
  last, copy_of = _last_copies(triangles, looks)
  for earlier, later in last[
    _twins_turned_alike(triangles[last], normals[last], looks[last])
  ].tolist():
    if extra[later] == extra[earlier]:
      extra[later] += 1
  return turned + 2 * extra[copy_of]


def _last_copies(
  triangles: np.ndarray, looks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Finds faces that have the same corners and look the same.

  Returns:
    (the last copy in the file of each distinct face [D], ascending; the last
    copy of every face [F]).
  """
  rows = np.column_stack([triangles.reshape(-1, 9), looks]).astype(np.float64)
  keys = np.ascontiguousarray(rows).view(f"V{rows.shape[1] * 8}").ravel()
  _, from_end, group = np.unique(
    keys[::-1], return_index=True, return_inverse=True
  )
  copy_of = len(keys) - 1 - from_end[group.ravel()[::-1]]
  return np.unique(copy_of), copy_of


def _generic_direction(normals: np.ndarray) -> np.ndarray:
  """Returns a direction that is far from perpendicular to all normals.

  So the dot products of opposite normals with this direction have opposite
  signs, even after rounding.
  """
  rng = np.random.default_rng(0)
  directions = rng.standard_normal((64, 3))
  directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
  some = normals[:: 1 + len(normals) // 20_000]
  some = some[np.linalg.norm(some, axis=-1) > 0.5]
  if not len(some):
    return directions[0]
  return directions[np.abs(some @ directions.T).min(0).argmax()]


def _twins_turned_alike(
  triangles: np.ndarray, normals: np.ndarray, looks: np.ndarray
) -> np.ndarray:
  """Returns pairs [P, 2] of faces that overlap in one plane.

  Both faces have the same orientation, but they look different. Pairs are
  sorted by the later face.
  """
  offsets = np.einsum("fc,fc->f", triangles.mean(1), normals)
  planes = np.column_stack([normals, offsets]) / _PLANE_GRID
  pairs = []
  for shift in (0.0, 0.5):  # one grid's cell borders could separate near planes
    _, plane = np.unique(np.rint(planes + shift), axis=0, return_inverse=True)
    plane = plane.ravel()
    same = np.unique(np.column_stack([plane, looks]), axis=0)[:, 0]
    several = np.bincount(same, minlength=plane.max() + 1)[plane] > 1
    several &= np.linalg.norm(normals, axis=-1) > 0.5
    faces = np.flatnonzero(several)
    pairs += _overlapping(triangles, normals, looks, plane, faces)
  if not pairs:
    return np.zeros((0, 2), int)
  pairs = np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)
  return pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]


def _overlapping(triangles, normals, looks, plane, faces) -> list[np.ndarray]:
  """Returns pairs of `faces` that overlap in one plane, in chunks [P, 2]."""
  low, high = triangles[faces].min(1), triangles[faces].max(1)
  # A sweep along x. Planes are shifted apart, so that they do not mix.
  away = plane[faces] * (np.ptp(triangles[..., 0]) + 1)
  order = np.argsort(low[:, 0] + away, kind="stable")
  faces, low, high, away = (a[order] for a in (faces, low, high, away))
  starts = low[:, 0] + away
  counts = np.searchsorted(starts, high[:, 0] + away, side="right")
  counts -= np.arange(len(faces)) + 1
  ends = np.cumsum(counts)
  found = []
  for first in range(0, int(ends[-1]) if len(ends) else 0, _PAIRS_AT_A_TIME):
    number = np.arange(first, min(first + _PAIRS_AT_A_TIME, int(ends[-1])))
    i = np.searchsorted(ends, number, side="right")
    j = i + 1 + number - (ends[i] - counts[i])
    meet = (low[i] <= high[j]).all(1) & (low[j] <= high[i]).all(1)
    meet &= looks[faces[i]] != looks[faces[j]]
    pair = np.column_stack([faces[i], faces[j]])[meet]
    if len(pair):
      found.append(pair[_overlap(triangles, normals, pair)])
  return found


def _overlap(triangles, normals, pair) -> np.ndarray:
  """Returns whether pairs [P, 2] of nearly parallel triangles overlap."""
  a, b = triangles[pair[:, 0]], triangles[pair[:, 1]]
  normal = normals[pair[:, 0]]
  middle = b.mean(1) - a.mean(1)
  result = np.abs(np.einsum("pc,pc->p", middle, normal)) < 4 * TWIN_DISTANCE
  for corners in (a, b):
    for k in range(3):
      edge = corners[:, (k + 1) % 3] - corners[:, k]
      axis = np.cross(normal, edge)
      axis /= np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-30)
      on_a, on_b = (np.einsum("pkc,pc->pk", t, axis) for t in (a, b))
      shared = np.minimum(on_a.max(1), on_b.max(1))
      shared -= np.maximum(on_a.min(1), on_b.min(1))
      result &= shared > TWIN_DISTANCE
  return result
