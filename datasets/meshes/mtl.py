# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the materials of .mtl files.

materials = read_mtl(data)             # {"wood": Material(...)}
look = look_of(material, refers)       # keyword arguments of `Part`

`Kd` and `Ke` are proportional to light, as in Blender, with which ShapeNet is
usually rendered. The format itself does not say, and MeshLab shows the numbers
as they are. Textures are sRGB.
"""

import dataclasses
import re

import cv2
from meshes.references import References
import numpy as np
from surfaces import Texture

from threedim_jax.views.pixels import srgb_from_linear

CUTOFF = 0.5  # surfaces with a lower alpha are not drawn
DEFAULT_COLOR = (0.4, 0.4, 0.4)
# Options of maps, and how many numbers follow them at most.
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
  """A texture of a material: `uv * scale + offset`, `value * gain + base`."""

  file: str
  offset: tuple[float, float] = (0.0, 0.0)
  scale: tuple[float, float] = (1.0, 1.0)
  base: float = 0.0
  gain: float = 1.0
  channel: str = ""
  clamp: bool = False


@dataclasses.dataclass
class Material:
  """What is used of a material: diffuse colour, emission, opacity."""

  color: tuple[float, float, float] = DEFAULT_COLOR  # sRGB
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


def read_mtl(text: str) -> dict[str, Material]:
  """The materials of a file; of two with one name, the first."""
  materials: dict[str, Material] = {}
  material = Material()  # what stands before the first name is of no use
  for line in text.splitlines():
    line = re.sub(r"(^|\s)#.*", "", line).strip()
    key, _, rest = line.replace("\t", " ").partition(" ")
    key, rest = key.lower(), rest.strip()
    if key == "newmtl":
      material = Material()
      materials.setdefault(rest, material)
    elif key == "kd":
      if (color := _color(rest)) is not None:
        material.color = tuple(srgb_from_linear(np.array(color)))
    elif key == "ke":
      material.glow = _color(rest) or material.glow
    elif key == "d":
      material.dissolve = float(rest.split()[-1])  # perhaps after `-halo`
    elif key == "tr":
      material.transparency = float(rest.split()[-1])
    elif key == "map_kd":
      material.color_map = _map(rest)
    elif key in ("map_ke", "map_emissive"):
      material.glow_map = _map(rest)
    elif key in ("map_d", "map_opacity"):
      material.alpha_map = _map(rest)
  return materials


def _color(text: str) -> tuple[float, ...] | None:
  """`r g b`, or `r` for grey; None for spectra and CIE XYZ."""
  words = text.split()
  if not words or words[0].lower() in ("spectral", "xyz"):
    return None
  values = [float(word) for word in words[:3]]
  if len(values) < 3:
    values = values[:1] * 3
  return tuple(min(1.0, max(0.0, value)) for value in values)


def _map(text: str) -> Map | None:
  """A line such as `-s 2 2 1 -clamp on my wood.png`; names may have spaces."""
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
    elif option == "-imfchan":
      found["channel"] = values[0]
  return Map(text[words[0].start() :].strip(), **found) if words else None


def _is_number(word: str) -> bool:
  try:
    float(word)
  except ValueError:
    return False
  return True


def look_of(material: Material, refers: References) -> dict | None:
  """Keyword arguments of `Part`; None for what is not seen at all.

  `map` among them is the map whose `offset` and `scale` apply to the texture
  coordinates, `glow_map` that of the glow texture.
  """
  if material.alpha < CUTOFF:
    return None
  look: dict = {"color": material.color}
  pixels = material.color_map and _pixels(material.color_map, refers)
  alpha = material.alpha_map and _pixels(material.alpha_map, refers)
  uv_map = material.color_map if pixels is not None else material.alpha_map
  if alpha is not None:
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
  if pixels is not None:
    look["texture"] = Texture(pixels, _wrap(uv_map))
    look["map"] = uv_map
    if pixels[..., 3].min() < 255:
      look["cutoff"] = CUTOFF / material.alpha - 1e-6
  glow = material.glow_map and _pixels(material.glow_map, refers)
  if glow is not None:
    look["glow_texture"] = Texture(glow, _wrap(material.glow_map))
    look["glow_map"] = material.glow_map
  if any(material.glow) or glow is not None:
    factor = material.glow if any(material.glow) else (1.0, 1.0, 1.0)
    look["glow"] = np.array(factor)
  return look


def _pixels(map_: Map, refers: References) -> np.ndarray | None:
  pixels = refers.texture(map_.file)
  if pixels is not None and (map_.base, map_.gain) != (0.0, 1.0):
    pixels = pixels.copy()
    rgb = pixels[..., :3] * map_.gain + 255 * map_.base
    pixels[..., :3] = np.clip(rgb + 0.5, 0, 255)
  return pixels


def _wrap(map_: Map) -> tuple[str, str]:
  return ("clamp", "clamp") if map_.clamp else ("repeat", "repeat")


def _channel(pixels: np.ndarray, channel: str) -> np.ndarray:
  """Opacity [H, W]: of the alpha of a picture that has one, or its grey."""
  if channel in ("r", "g", "b"):
    return pixels[..., "rgb".index(channel)]
  if pixels[..., 3].min() < 255:
    return pixels[..., 3]
  return cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY)


def _with_alpha(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
  """Pictures of different sizes are brought to the larger one."""
  h, w = (max(a, b) for a, b in zip(pixels.shape, alpha.shape, strict=False))
  resize = lambda image: cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
  if pixels.shape[:2] != (h, w):
    pixels = resize(pixels)
  if alpha.shape[:2] != (h, w):
    alpha = resize(alpha)
  return np.dstack([pixels[..., :3], alpha])
