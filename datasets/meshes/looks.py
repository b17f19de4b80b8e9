# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Describes how a surface looks, whatever the format of its material.

  look = Look(color=(0.8, 0.1, 0.1))
  part = look.part(triangles, colors, None, coordinates)

`gltf_materials.py` and `mtl.py` read the materials of their formats as looks.
"""

from collections.abc import Callable
import dataclasses

import numpy as np
from surfaces import Part, Texture

GREY = 0.4  # display value of a surface without material and colours
OPAQUE_FROM = 0.5  # alpha; surfaces and texels with less are not drawn


@dataclasses.dataclass(frozen=True)
class TextureUse:
  """A texture, and how it is laid on faces.

  Attributes:
    texture: its pixels.
    uv_from_file: float64 [2, 3], applied to the coordinates of the file.
    set: number of the set of coordinates: n in the TEXCOORD_n of glTF.
  """

  texture: Texture
  uv_from_file: np.ndarray
  set: int = 0

  def transform(self, uv: np.ndarray) -> np.ndarray:
    """Applies `uv_from_file` to coordinates [..., 2]."""
    return uv @ self.uv_from_file[:, :2].T + self.uv_from_file[:, 2]


@dataclasses.dataclass(frozen=True)
class Look:
  """A material. See `Part` for `glow`, `cutoff`, `linear`, `lit`, `two_sided`.

  Attributes:
    color: RGB, multiplied with the colours of corners and with the texture.
    alpha: multiplied with the alpha of corners and of the texture.
    base: the texture of the surface's colour.
    replaces_colors: whether `base` stands in place of the colours of corners.
    default_color: RGB of corners for which the file has no colour.
  """

  color: tuple[float, ...] = (1.0, 1.0, 1.0)
  alpha: float = 1.0
  base: TextureUse | None = None
  replaces_colors: bool = False
  glow: tuple[float, ...] | None = None
  glow_texture: TextureUse | None = None
  cutoff: float | None = None
  linear: bool = False
  lit: bool = True
  two_sided: bool = True
  default_color: tuple[float, ...] = (1.0, 1.0, 1.0)

  def part(
    self,
    triangles: np.ndarray,
    colors: np.ndarray,
    alpha: np.ndarray | None,
    coordinates: Callable[[TextureUse], np.ndarray],
  ) -> Part:
    """Makes a part of faces that have this look.

    Args:
      triangles: corners, float64 [F, 3, 3].
      colors: of the corners, float64 [F, 3, 3].
      alpha: of the corners, float64 [F, 3]; None: they have none.
      coordinates: returns the texture coordinates [F, 3, 2] for a texture.
    """
    if self.replaces_colors:
      colors = np.ones_like(colors)
    part = Part(
      triangles,
      np.clip(colors * self.color, 0, 1),
      alpha=None if alpha is None else alpha * self.alpha,
      cutoff=self.cutoff,
      linear=self.linear,
      lit=self.lit,
      two_sided=self.two_sided,
    )
    if self.base is not None:
      part.texture, part.uv = self.base.texture, coordinates(self.base)
    if self.glow is not None:
      part.glow = np.array(self.glow)
      if self.glow_texture is not None:
        part.glow_texture = self.glow_texture.texture
        part.glow_uv = coordinates(self.glow_texture)
    return part


def display_colors(rgb: np.ndarray) -> np.ndarray:
  """Clips RGB [N, 3] to 0 .. 1, after a division by 255 if any is above 2.

  Fractions may be slightly above 1, by rounding. NaN stays.
  """
  if np.nanmax(rgb, initial=0) > 2:
    rgb = rgb / 255
  return np.clip(rgb, 0, 1)


def without_unused_alpha(pixels: np.ndarray) -> np.ndarray:
  """Returns a picture [H, W, 4] whose alpha is 255 if it was 0 everywhere.

  Programs that write 32 bits a texel may leave the fourth channel empty.
  """
  if pixels[..., 3].any():
    return pixels
  return np.dstack([pixels[..., :3], np.full(pixels.shape[:2], 255, np.uint8)])
