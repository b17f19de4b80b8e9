# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The colours of triangles: of faces, of vertices, of materials, of textures.

  paint = Paint([part_of(mesh)])
  rgb = paint(face, pos, dirs, pixel)    # where rays meet the faces

Everything is opaque, textures repeat, and what a picture of few pixels shows
of a large texture is averaged (an image pyramid), so that it does not flicker
from view to view.
"""

from collections.abc import Sequence
import dataclasses

import cv2
import numpy as np
import trimesh

_PLACEHOLDER = np.asarray(trimesh.visual.material.empty_material().image)
_TINY = 1e-12


@dataclasses.dataclass
class Part:
  """Triangles that share a texture, or have none.

  Attributes:
    triangles: corners, float64 [F, 3, 3].
    colors: of the corners, float64 [F, 3, 3] in [0, 1]; times the texture.
    texture: uint8 [H, W, 3] or None; its last row is at v = 0.
    uv: of the corners, float64 [F, 3, 2]; None without texture.
  """

  triangles: np.ndarray
  colors: np.ndarray
  texture: np.ndarray | None = None
  uv: np.ndarray | None = None


def part_of(mesh: trimesh.Trimesh) -> Part:
  """What is to be drawn of a mesh, with all that trimesh knows of its look."""
  faces, visual = mesh.faces, mesh.visual
  part = Part(np.asarray(mesh.vertices)[faces], np.ones((len(faces), 3, 3)))
  if visual.kind != "texture":
    if visual.kind == "vertex":
      part.colors = visual.vertex_colors[faces][..., :3] / 255.0
    else:
      part.colors *= visual.face_colors[:, None, :3] / 255.0
    return part
  # Beside a material, colours of vertices lie in one place or the other.
  colors = visual.vertex_attributes.get("color")
  if colors is None:
    colors = mesh.vertex_attributes.get("color")
  if colors is not None:
    part.colors = _unit_colors(colors)[faces]
  image, factor = _image_and_factor(visual.material)
  if image is not None and visual.uv is not None:
    part.texture = np.asarray(image.convert("RGB"))
    part.uv = np.asarray(visual.uv)[faces][..., :2]
    if np.array_equal(part.texture, _PLACEHOLDER[..., :3]):
      # Texture coordinates without a texture.
      part.texture = part.uv = None
      factor = _PLACEHOLDER[0, 0, :3] if colors is None else None
  if factor is not None:
    part.colors = part.colors * (np.asarray(factor[:3]) / 255.0)
  return part


def _unit_colors(colors: np.ndarray) -> np.ndarray:
  """Colours [V, 3] in [0, 1] of [V, 3 or 4] integers of 8 or 16 bits."""
  colors = np.asarray(colors)[:, :3]
  if colors.dtype.kind in "iu":
    return colors / (65535.0 if colors.dtype.itemsize == 2 else 255.0)
  return np.clip(colors.astype(float), 0, 1)


def _image_and_factor(material):
  """A picture or None, and the uint8 colour that it or white is times."""
  if isinstance(material, trimesh.visual.material.PBRMaterial):
    return material.baseColorTexture, material.baseColorFactor
  image = getattr(material, "image", None)
  # In .mtl files a texture stands in place of the colour Kd.
  return image, material.main_color if image is None else None


class Paint:
  """The colours of the faces of all parts, numbered one part after the other.

  `flat` [F, 3] has the colours if every face has just one, else it is None.
  """

  def __init__(self, parts: Sequence[Part]):
    self._corners = np.concatenate([p.triangles for p in parts])
    self._colors = np.concatenate([p.colors for p in parts])
    one_color = (self._colors == self._colors[:, :1]).all()
    textured = [p for p in parts if p.texture is not None]
    flat = one_color and not textured
    self.flat = self._colors[:, 0] if flat else None
    self._textures = [_Texture(p) for p in textured]
    numbers = {id(p): i for i, p in enumerate(textured)}
    sizes = [len(p.triangles) for p in parts]
    self._texture = np.repeat([numbers.get(id(p), -1) for p in parts], sizes)
    # The number of a face within its part.
    self._row = np.concatenate([np.arange(n) for n in sizes])

  def __call__(
    self, face: np.ndarray, pos: np.ndarray, dirs: np.ndarray, pixel: float
  ) -> np.ndarray:
    """Colours [N, 3] of the points where rays meet faces.

    Args:
      face: numbers [N] of the faces.
      pos: [3], where all rays start.
      dirs: [N, 3], their directions, 1 long along the optical axis.
      pixel: the distance of neighbouring rays at depth 1.
    """
    weights, depth = _intersect(self._corners[face], pos, dirs)
    rgb = np.einsum("nk,nkc->nc", weights, self._colors[face])
    texture = self._texture[face]
    for i in np.unique(texture[texture >= 0]):
      n = np.flatnonzero(texture == i)
      row = self._row[face[n]]
      rgb[n] *= self._textures[i](row, weights[n], depth[n] * pixel)
    return rgb


class _Texture:
  """The texture of a part, and smaller ones for what is far away."""

  def __init__(self, part: Part):
    level = part.texture
    self._levels = [level]
    while max(level.shape[:2]) > 1:
      h, w = (max(1, n // 2) for n in level.shape[:2])
      level = cv2.resize(level, (w, h), interpolation=cv2.INTER_AREA)
      self._levels.append(level)
    self._uv = part.uv
    h, w = part.texture.shape[:2]
    a, b, c = np.moveaxis(part.uv * [w, h], 1, 0)
    texels = np.abs(np.linalg.det(np.stack([b - a, c - a], -1)))
    a, b, c = np.moveaxis(part.triangles, 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    self._density = np.sqrt(texels / np.maximum(area, _TINY))

  def __call__(self, row, weights, spacing) -> np.ndarray:
    """Colours [N, 3] in [0, 1] on faces `row`; `spacing` of rays in metres."""
    uv = np.einsum("nk,nkc->nc", weights, self._uv[row])
    texels = np.maximum(self._density[row] * spacing, 1.0)
    level = np.rint(np.log2(texels)).astype(int)
    level = np.minimum(level, len(self._levels) - 1)
    rgb = np.empty((len(row), 3))
    for i in np.unique(level):
      n = level == i
      rgb[n] = _bilinear(self._levels[i], uv[n])
    return rgb


def _bilinear(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
  h, w = texture.shape[:2]
  place = np.stack([uv[:, 0] % 1 * w, (1 - uv[:, 1]) % 1 * h], -1) - 0.5
  low = np.floor(place).astype(int)
  x, y = np.moveaxis(place - low, 1, 0)[..., None]
  (x0, y0), (x1, y1) = low.T % [[w], [h]], (low.T + 1) % [[w], [h]]
  top = texture[y0, x0] * (1 - x) + texture[y0, x1] * x
  bottom = texture[y1, x0] * (1 - x) + texture[y1, x1] * x
  return (top * (1 - y) + bottom * y) / 255.0


def _intersect(corners, pos, dirs) -> tuple[np.ndarray, np.ndarray]:
  """Weights [N, 3] of the corners at the hits, and how many `dirs` away."""
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
  # Rounding, and grazing rays, must not leave the face.
  weights = np.clip(np.stack([1 - b - c, b, c], -1), 0, 1)
  weights /= np.maximum(weights.sum(-1, keepdims=True), _TINY)
  return weights, np.maximum(depth, 0)
