# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the materials of .mtl files.

  materials = read_mtl(text, path)             # {"wood": Material(...)}
  plain, textured = looks_of(materials["wood"], refers)    # two `Look`s

`Kd` and `Ke` are taken as linear light, as in Blender, the usual renderer of
ShapeNet. The format does not specify this, and MeshLab takes them as display
values. Textures are sRGB.
"""

import dataclasses
import pathlib
import re

import cv2
from meshes.looks import (
  GREY,
  OPAQUE_FROM,
  Look,
  TextureUse,
  without_unused_alpha,
)
from meshes.references import References, without_comment
import numpy as np
from surfaces import Texture

from threedim_jax.views.pixels import srgb_from_linear

# Options of maps, and how many values follow them at most.
_OPTIONS = {
  "-blendu": 1,
  "-blendv": 1,
  "-boost": 1,
  "-bm": 1,
  "-cc": 1,
  "-clamp": 1,
  "-colorspace": 1,
  "-imfchan": 1,
  "-mm": 2,
  "-o": 3,
  "-s": 3,
  "-t": 3,
  "-texres": 1,
  "-type": 1,
}


@dataclasses.dataclass(frozen=True)
class Map:
  """A line that names a texture, and its options.

  Attributes:
    file: name of the picture, perhaps with a comment.
    library: path of the .mtl file that has the line.
    offset: added to texture coordinates, after `scale`.
    scale: multiplied with texture coordinates.
    base: added to texels, after `gain`.
    gain: multiplied with texels.
    channel: the channel that holds the opacity, "r", "g" or "b"; otherwise the
      alpha channel, or the grey level if the picture has no alpha.
    clamp: whether the picture ends at its border instead of repeating.
  """

  file: str
  library: pathlib.PurePath
  offset: tuple[float, float] = (0.0, 0.0)
  scale: tuple[float, float] = (1.0, 1.0)
  base: float = 0.0
  gain: float = 1.0
  channel: str = ""
  clamp: bool = False


@dataclasses.dataclass
class Material:
  """Those settings of a material that are used."""

  color: tuple[float, float, float] = (GREY, GREY, GREY)  # sRGB
  glow: tuple[float, float, float] = (0.0, 0.0, 0.0)  # proportional to light
  dissolve: float | None = None  # `d`: 1 is opaque
  transparency: float | None = None  # `Tr`: 0 is opaque; `d` comes first
  color_map: Map | None = None
  glow_map: Map | None = None
  alpha_map: Map | None = None

  @property
  def alpha(self) -> float:
    if self.dissolve is not None:
      return self.dissolve
    return 1.0 if self.transparency is None else 1 - self.transparency


def read_mtl(text: str, path: pathlib.PurePath) -> dict[str, Material]:
  """Reads the materials of the file `path`. Lines of its text end with "\\n".

  If names repeat, the first one counts. Names are whole lines: a "#" may be a
  part of them, or start a comment.
  """
  materials: dict[str, Material] = {}
  material = Material()  # takes the lines before the first name
  for line in text.split("\n"):
    key, _, name = line.strip().replace("\t", " ").partition(" ")
    key, name, rest = key.lower(), name.strip(), without_comment(name)
    if key == "newmtl":
      material = Material()
      materials.setdefault(name, material)
    elif key == "kd":
      if (color := _color(rest)) is not None:
        material.color = tuple(srgb_from_linear(np.array(color)))
    elif key == "ke":
      material.glow = _color(rest) or material.glow
    elif key == "d" and rest:
      material.dissolve = float(rest.split()[-1])  # perhaps after `-halo`
    elif key == "tr" and rest:
      material.transparency = float(rest.split()[-1])
    elif key == "map_kd":
      material.color_map = _map(name, path)
    elif key in ("map_ke", "map_emissive"):
      material.glow_map = _map(name, path)
    elif key in ("map_d", "map_opacity"):
      material.alpha_map = _map(name, path)
  return materials


def _color(text: str) -> tuple[float, ...] | None:
  """Parses `r g b`, or `r` for grey; None for spectra and CIE XYZ."""
  words = text.split()
  if not words or words[0].lower() in ("spectral", "xyz"):
    return None
  values = [float(word) for word in words[:3]]
  if len(values) < 3:
    values = values[:1] * 3
  return tuple(min(1.0, max(0.0, value)) for value in values)


def _map(text: str, library: pathlib.PurePath) -> Map | None:
  """Parses options and a file name, as `-s 2 2 1 -clamp on my wood.png`."""
  found: dict = {}
  words = list(re.finditer(r"\S+", text))
  while len(words) > 1 and words[0].group().lower() in _OPTIONS:
    option, values = words.pop(0).group().lower(), []
    while len(words) > 1 and len(values) < _OPTIONS[option]:
      if values and not _is_number(words[0].group()):
        break
      values.append(words.pop(0).group().lower())
    if option == "-o":
      found["offset"] = (*(float(x) for x in values[:2]), 0.0)[:2]
    elif option == "-s":
      found["scale"] = (*(float(x) for x in values[:2]), 1.0)[:2]
    elif option == "-mm":
      found["base"], found["gain"] = (*(float(x) for x in values), 1.0)[:2]
    elif option == "-clamp":
      found["clamp"] = values == ["on"]
    elif option == "-imfchan" and values:
      found["channel"] = values[0]
  if not words:
    return None
  return Map(text[words[0].start() :].strip(), library, **found)


def _is_number(word: str) -> bool:
  try:
    float(word)
  except ValueError:
    return False
  return True


def looks_of(
  material: Material, refers: References
) -> tuple[Look, Look] | None:
  """Returns the looks of faces without and with texture coordinates.

  Returns None if the material is transparent. A texture replaces the colour
  `Kd`.
  """
  if material.alpha < OPAQUE_FROM:
    return None
  pixels = material.color_map and _pixels(material.color_map, refers)
  alpha = material.alpha_map and _pixels(material.alpha_map, refers)
  uv_map = material.color_map if pixels is not None else material.alpha_map
  if alpha is not None and not _repeats_colors(material, refers):
    if pixels is None:
      rgb = np.clip(np.array(material.color) * 255 + 0.5, 0, 255)
      pixels = np.empty((*alpha.shape[:2], 4), np.uint8)
      pixels[..., :3] = rgb.astype(np.uint8)
    elif (uv_map.offset, uv_map.scale) != (
      material.alpha_map.offset,
      material.alpha_map.scale,
    ):
      raise ValueError("map_d and map_Kd have different -o or -s options")
    pixels = _with_alpha(pixels, _channel(alpha, material.alpha_map.channel))
  glow_pixels = material.glow_map and _pixels(material.glow_map, refers)
  glow = material.glow if any(material.glow) else None
  plain = textured = Look(material.color, glow=glow)
  if glow_pixels is not None:
    use = _texture_use(glow_pixels, material.glow_map)
    textured = dataclasses.replace(
      textured, glow=glow or (1.0, 1.0, 1.0), glow_texture=use
    )
  if pixels is not None:
    has_holes = pixels[..., 3].min() < 255
    textured = dataclasses.replace(
      textured,
      color=(1.0, 1.0, 1.0),
      base=_texture_use(pixels, uv_map),
      replaces_colors=uv_map is material.color_map,
      cutoff=OPAQUE_FROM / material.alpha - 1e-6 if has_holes else None,
    )
  return plain, textured


def _texture_use(pixels: np.ndarray, map_: Map) -> TextureUse:
  (su, sv), (u, v) = map_.scale, map_.offset
  wrap = ("clamp", "clamp") if map_.clamp else ("repeat", "repeat")
  uv_from_file = np.array([[su, 0, u], [0, sv, v]])
  return TextureUse(Texture(pixels, wrap), uv_from_file)


def _pixels(map_: Map, refers: References) -> np.ndarray | None:
  """Returns a map's picture after `gain` and `base`; None if it is unusable."""
  pixels = _picture(map_, refers)
  if pixels is not None and (map_.base, map_.gain) != (0.0, 1.0):
    pixels = pixels.copy()
    rgb = pixels[..., :3] * map_.gain + 255 * map_.base
    pixels[..., :3] = np.clip(rgb + 0.5, 0, 255)
  return pixels


def _picture(map_: Map, refers: References) -> np.ndarray | None:
  """Returns the picture [H, W, 4] that a map names; None if it is unusable."""
  plain = without_comment(map_.file)
  names = dict.fromkeys(filter(None, (map_.file, plain)))
  pixels = refers.texture(*names, library=map_.library)
  return None if pixels is None else without_unused_alpha(pixels)


def _repeats_colors(material: Material, refers: References) -> bool:
  """Returns whether `map_d` is the opaque picture of `map_Kd` once more.

  Some programs write this for opaque surfaces. Its grey level is no opacity.
  """
  if material.color_map is None or material.alpha_map.channel:
    return False
  alpha = _picture(material.alpha_map, refers)
  same = np.array_equal(alpha, _picture(material.color_map, refers))
  return same and alpha[..., 3].min() == 255


def _channel(pixels: np.ndarray, channel: str) -> np.ndarray:
  """Returns the opacity [H, W] that a picture of `map_d` stands for."""
  if channel in ("r", "g", "b"):
    return pixels[..., "rgb".index(channel)]
  if pixels[..., 3].min() < 255:
    return pixels[..., 3]
  return cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY)


def _with_alpha(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
  """Joins RGB and alpha to RGBA; both are enlarged to the larger sides."""
  h, w = (max(a, b) for a, b in zip(pixels.shape, alpha.shape, strict=False))
  if pixels.shape[:2] != (h, w):
    pixels = cv2.resize(pixels, (w, h), interpolation=cv2.INTER_AREA)
  if alpha.shape[:2] != (h, w):
    alpha = cv2.resize(alpha, (w, h), interpolation=cv2.INTER_AREA)
  return np.dstack([pixels[..., :3], alpha])
