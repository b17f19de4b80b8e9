# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes the colours of triangles: of faces, vertices, materials, textures.

  paint = Paint(parts)
  rgb = paint(face, pos, dirs, pixel, light)    # where rays meet the faces
  hit = paint.is_solid(face, pos, dirs)         # False: a transparent texel

Nothing is half transparent. A texel (a pixel of a texture) whose alpha is below
the cutoff lets rays through, and all other texels stop them. A texture that is
much finer than the rays is averaged with an image pyramid, or it would flicker
from view to view.
"""

from collections.abc import Sequence
import dataclasses

import cv2
import numpy as np
import trimesh

from threedim_jax.views.pixels import linear_from_srgb, srgb_from_linear

_TINY = 1e-12
# Most points at which alpha is looked up: along a face's edge, and in a part.
_GRID = 64
_MAX_POINTS = 200_000


@dataclasses.dataclass(frozen=True)
class Texture:
  """A picture that is laid on faces.

  Attributes:
    pixels: uint8 [H, W, 4], RGBA in display values; the last row is at v = 0.
    wrap: how the picture continues outside [0, 1], along u and along v:
      "repeat", "mirror" or "clamp".
    nearest: show the nearest texel instead of interpolating.
  """

  pixels: np.ndarray
  wrap: tuple[str, str] = ("repeat", "repeat")
  nearest: bool = False


@dataclasses.dataclass
class Part:
  """Triangles that share a material.

  Attributes:
    triangles: corners, float64 [F, 3, 3]; the side on which they run
      counterclockwise is the front.
    colors: of the corners, float64 [F, 3, 3] in [0, 1]; multiplied with the
      texture. They are display values, or proportional to light if `linear`.
    alpha: of the corners, float64 [F, 3]; multiplied with the texture's alpha.
    texture: of the surface's colour, or None.
    uv: texture coordinates of the corners, float64 [F, 3, 2].
    glow: emitted light, float64 [3] (linear), or None.
    glow_texture: multiplied with `glow`, or None.
    glow_uv: its coordinates, float64 [F, 3, 2].
    cutoff: rays pass where the alpha is below this; None: all of it is opaque.
    linear: multiply colours and texture in linear light (glTF), not as display
      values (all other formats).
    lit: whether light falls on the surface; False shows the colour unshaded.
    two_sided: whether the back of a face is visible.
  """

  triangles: np.ndarray
  colors: np.ndarray
  alpha: np.ndarray | None = None
  texture: Texture | None = None
  uv: np.ndarray | None = None
  glow: np.ndarray | None = None
  glow_texture: Texture | None = None
  glow_uv: np.ndarray | None = None
  cutoff: float | None = None
  linear: bool = False
  lit: bool = True
  two_sided: bool = True

  @property
  def one_color_per_face(self) -> bool:
    varies = (self.colors != self.colors[:, :1]).any()
    return not varies and self.texture is None and self.glow_texture is None


def part_of(mesh: trimesh.Trimesh) -> Part:
  """Converts a trimesh mesh, with its face or vertex colours, to a part."""
  faces, visual = mesh.faces, mesh.visual
  colors = np.ones((len(faces), 3, 3))
  if visual.kind == "vertex":
    colors = visual.vertex_colors[faces][..., :3] / 255.0
  elif isinstance(visual, trimesh.visual.ColorVisuals):
    colors *= visual.face_colors[:, None, :3] / 255.0
  return Part(np.asarray(mesh.vertices)[faces], colors)


def visible_points(part: Part) -> np.ndarray:
  """Returns points [N, 3] with the same bounding box as the visible surface.

  The points are the corners. If the part has a cutoff, they are the opaque
  points of a grid on each face instead.
  """
  if part.cutoff is None:
    return part.triangles.reshape(-1, 3)
  steps = int(np.sqrt(2 * _MAX_POINTS / max(1, len(part.triangles))))
  steps = min(_GRID, max(2, steps))
  i, j = np.nonzero(np.add.outer(*[np.arange(steps + 1)] * 2) <= steps)
  weights = np.stack([steps - i - j, i, j], -1) / steps
  weights += 1e-4 * (1 / 3 - weights)  # inwards: textures wrap at the edge
  rows = np.repeat(np.arange(len(part.triangles)), len(weights))
  weights = np.tile(weights, (len(part.triangles), 1))
  seen = _alpha(part, rows, weights) >= part.cutoff
  corners = part.triangles[rows[seen]]
  return np.einsum("nk,nkc->nc", weights[seen], corners)


def _alpha(part: Part, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
  """Returns alpha [N] on faces `rows` [N] at barycentric `weights` [N, 3]."""
  alpha = np.ones(len(rows))
  if part.alpha is not None:
    alpha = np.einsum("nk,nk->n", weights, part.alpha[rows])
  if part.texture is not None:
    uv = np.einsum("nk,nkc->nc", weights, part.uv[rows])
    alpha = alpha * _sample(part.texture.pixels, uv, part.texture)[:, 3]
  return alpha


class Paint:
  """Computes colours on the faces of all parts.

  Faces are numbered part after part.

  Attributes:
    part: number of each face's part, [F].
    flat: whether every face has only one colour.
    has_holes: whether rays may pass through a face, [F].
    two_sided: whether the back of a face is visible, [F].
  """

  def __init__(self, parts: Sequence[Part]):
    self._parts = parts
    self._corners = np.concatenate([p.triangles for p in parts])
    self._colors = np.concatenate([p.colors for p in parts])
    sizes = [len(p.triangles) for p in parts]
    self.part = np.repeat(np.arange(len(parts)), sizes)
    # The number of a face within its part.
    self._row = np.concatenate([np.arange(n) for n in sizes])
    self.flat = all(p.one_color_per_face for p in parts)
    self.has_holes = np.array([p.cutoff is not None for p in parts])[self.part]
    self.two_sided = np.array([p.two_sided for p in parts])[self.part]
    made = {}  # a file may have thousands of parts with one picture
    self._textures = [
      p.texture
      and _Pyramid(p.texture, p.uv, p.triangles, p.cutoff is not None, made)
      for p in parts
    ]
    self._glows = [
      p.glow_texture
      and _Pyramid(p.glow_texture, p.glow_uv, p.triangles, False, made)
      for p in parts
    ]

  def flat_colors(self, light: np.ndarray) -> np.ndarray:
    """Returns the faces' colours [F, 3] under `light` [F, 1]; needs `flat`."""
    rgb = self._colors[:, 0] * light
    for i, part in enumerate(self._parts):
      n = np.flatnonzero(self.part == i)
      rgb[n] = _shade(part, self._colors[n, 0], light[n], part.glow)
    return rgb

  def looks(self) -> np.ndarray:
    """Returns numbers [F], equal for faces that look alike from both sides."""
    rgb = self._colors.mean(1)
    _, looks = np.unique(
      np.column_stack([self.part, rgb]), axis=0, return_inverse=True
    )
    looks = looks.ravel()
    simple = np.array([p.one_color_per_face for p in self._parts])[self.part]
    return np.where(simple, looks, looks.max() + 1 + np.arange(len(looks)))

  def is_solid(
    self, face: np.ndarray, pos: np.ndarray, dirs: np.ndarray
  ) -> np.ndarray:
    """Returns whether faces [N] stop their rays from `pos` along `dirs`."""
    solid = np.ones(len(face), bool)
    check = np.flatnonzero(self.has_holes[face])
    weights, _ = _intersect(self._corners[face[check]], pos, dirs[check])
    for i, n in _split(self.part[face[check]]):
      part = self._parts[i]
      alpha = _alpha(part, self._row[face[check[n]]], weights[n])
      solid[check[n]] = alpha >= part.cutoff
    return solid

  def __call__(
    self,
    face: np.ndarray,
    pos: np.ndarray,
    dirs: np.ndarray,
    pixel: float,
    light: np.ndarray,
  ) -> np.ndarray:
    """Returns colours [N, 3] at the points where rays hit faces.

    Args:
      face: numbers [N] of the faces.
      pos: [3], where all rays start.
      dirs: [N, 3], directions whose component along the optical axis is 1.
      pixel: distance between neighbouring rays at depth 1.
      light: [N, 1], the fraction of the light that the faces reflect.
    """
    weights, depth = _intersect(self._corners[face], pos, dirs)
    rgb = np.einsum("nk,nkc->nc", weights, self._colors[face])
    for i, n in _split(self.part[face]):
      part, row = self._parts[i], self._row[face[n]]
      color, glow = rgb[n], part.glow
      if part.texture is not None:
        texels = self._textures[i](row, weights[n], depth[n] * pixel)
        color = color * (linear_from_srgb(texels) if part.linear else texels)
      if part.glow_texture is not None:
        texels = self._glows[i](row, weights[n], depth[n] * pixel)
        glow = glow * linear_from_srgb(texels)
      rgb[n] = _shade(part, color, light[n], glow)
    return rgb


def _split(numbers: np.ndarray):
  """Returns pairs (number, its indices) for all distinct numbers."""
  if not len(numbers):
    return ()
  order = np.argsort(numbers, kind="stable")
  found, starts = np.unique(numbers[order], return_index=True)
  return zip(found, np.split(order, starts[1:]), strict=True)


def _shade(part: Part, color, light, glow) -> np.ndarray:
  """Returns display values of `color` and `glow` of surfaces under `light`."""
  if part.linear:
    color = srgb_from_linear(np.clip(color, 0, 1))
  if part.lit:
    color = color * light
  if glow is not None:
    color = srgb_from_linear(np.minimum(linear_from_srgb(color) + glow, 1))
  return color


class _Pyramid:
  """A texture on faces, with smaller copies that distant faces use."""

  def __init__(
    self,
    texture: Texture,
    uv: np.ndarray,
    triangles: np.ndarray,
    with_alpha: bool,
    made: dict[tuple[int, bool], list[np.ndarray]],
  ):
    """Makes the smaller copies, or takes those in `made` of the same picture.

    `made` is changed. Its keys are ids of pictures, which must stay in memory.
    """
    self._texture, self._uv = texture, uv
    # Colours are weighted with alpha: transparent texels must not count.
    self._weighted = bool(with_alpha and texture.pixels[..., 3].min() < 255)
    key = id(texture.pixels), self._weighted
    if key not in made:
      made[key] = _levels(texture.pixels, self._weighted)
    self._levels = made[key]
    h, w = texture.pixels.shape[:2]
    a, b, c = np.moveaxis(uv * [w, h], 1, 0)
    texels = np.abs(np.linalg.det(np.stack([b - a, c - a], -1)))
    a, b, c = np.moveaxis(triangles, 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    self._density = np.sqrt(texels / np.maximum(area, _TINY))

  def __call__(self, row, weights, spacing) -> np.ndarray:
    """Returns colours [N, 3] in [0, 1] on the faces `row`.

    `spacing` [N] is the distance between neighbouring rays, in world units.
    """
    uv = np.einsum("nk,nkc->nc", weights, self._uv[row])
    texels = np.maximum(self._density[row] * spacing, 1.0)
    level = np.rint(np.log2(texels)).astype(int)
    level = np.minimum(level, len(self._levels) - 1)
    rgba = np.empty((len(row), 4))
    for i, n in _split(level):
      rgba[n] = _sample(self._levels[i], uv[n], self._texture)
    if not self._weighted:
      return rgba[:, :3]
    return np.clip(rgba[:, :3] / np.maximum(rgba[:, 3:], _TINY), 0, 1)


def _levels(pixels: np.ndarray, weighted: bool) -> list[np.ndarray]:
  """Returns RGBA as floats in 0 .. 255, each level half as large as the last.

  If `weighted`, colours are multiplied with alpha.
  """
  level = pixels.astype(np.float32)
  if weighted:
    level[..., :3] *= level[..., 3:] / 255
  levels = [level]
  while max(level.shape[:2]) > 1:
    h, w = (max(1, n // 2) for n in level.shape[:2])
    level = cv2.resize(level, (w, h), interpolation=cv2.INTER_AREA)
    levels.append(level)
  return levels


def _sample(pixels: np.ndarray, uv: np.ndarray, texture: Texture) -> np.ndarray:
  """Returns RGBA [N, 4] in [0, 1] at texture coordinates [N, 2] of `pixels`."""
  h, w = pixels.shape[:2]
  place = np.stack([uv[:, 0] * w, (1 - uv[:, 1]) * h], -1) - 0.5
  if texture.nearest:
    place = np.rint(place)
  low = np.floor(place)
  x, y = np.moveaxis(place - low, 1, 0)[..., None]
  x0, x1 = (_wrap(low[:, 0] + i, w, texture.wrap[0]) for i in (0, 1))
  y0, y1 = (_wrap(low[:, 1] + i, h, texture.wrap[1]) for i in (0, 1))
  top = pixels[y0, x0] * (1 - x) + pixels[y0, x1] * x
  bottom = pixels[y1, x0] * (1 - x) + pixels[y1, x1] * x
  return (top * (1 - y) + bottom * y) / 255.0


def _wrap(place: np.ndarray, size: int, mode: str) -> np.ndarray:
  """Maps integer positions to the texels, 0 .. size - 1, shown there."""
  if mode == "clamp":
    place = np.clip(place, 0, size - 1)
  elif mode == "mirror":
    place = place % (2 * size)
    place = np.minimum(place, 2 * size - 1 - place)
  else:
    place = place % size
  return place.astype(int)


def _intersect(corners, pos, dirs) -> tuple[np.ndarray, np.ndarray]:
  """Returns barycentric weights [N, 3] of hits; depths in units of `dirs`."""
  a = corners[:, 0]
  ab, ac = corners[:, 1] - a, corners[:, 2] - a
  h = np.cross(dirs, ac)
  det = np.einsum("nc,nc->n", ab, h)
  det = np.where(np.abs(det) < _TINY, _TINY, det)
  s = pos - a
  q = np.cross(s, ab)
  b = np.einsum("nc,nc->n", s, h) / det
  c = np.einsum("nc,nc->n", dirs, q) / det
  depth = np.einsum("nc,nc->n", ac, q) / det
  # Rounding and grazing rays must not put a hit outside its face.
  weights = np.clip(np.stack([1 - b - c, b, c], -1), 0, 1)
  weights /= np.maximum(weights.sum(-1, keepdims=True), _TINY)
  return weights, np.maximum(depth, 0)
