# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the materials of glTF 2.0 files, as far as diffuse surfaces show them.

  look = read_material(file, number)    # a `Look`

This reads base colour (or the diffuse colour of specular-glossiness), emission,
alpha mode, sidedness and unlit materials. It ignores reflections, normal maps
and occlusion.
"""

import math

from meshes.gltf_accessors import GltfFile
from meshes.gltf_extensions import refuse
from meshes.looks import OPAQUE_FROM, Look, TextureUse
import numpy as np
from surfaces import Texture

_WRAPS = {10497: "repeat", 33071: "clamp", 33648: "mirror"}
_NEAREST = 9728
# Extensions that give a texture another picture, beside that of core glTF.
_PICTURES = ("EXT_texture_webp", "EXT_texture_avif", "MSFT_texture_dds")


def read_material(file: GltfFile, index: int) -> Look | None:
  """Reads the look of a material; None if it is transparent.

  Raises:
    UserError: a texture of the material is not supported.
    ValueError: the file is broken. Parsing may raise other errors, too.
  """
  material = file.item("materials", index)
  extensions = material.get("extensions", {})
  color, base = _base(file, material, extensions)
  cutoff = None
  mode = material.get("alphaMode", "OPAQUE")
  if mode == "MASK":
    cutoff = _number(material.get("alphaCutoff", 0.5))
  elif mode == "BLEND":
    cutoff = OPAQUE_FROM
  elif mode != "OPAQUE":
    raise ValueError(f"alphaMode is {mode!r}")
  glow = _numbers(material.get("emissiveFactor", (0, 0, 0)), 3)
  strength = extensions.get("KHR_materials_emissive_strength", {})
  glow = tuple(g * _number(strength.get("emissiveStrength", 1)) for g in glow)
  glow_texture = _texture_use(file, material.get("emissiveTexture"))
  transmission = extensions.get("KHR_materials_transmission", {})
  if "transmissionTexture" in transmission:
    refuse(file.refers.label, "KHR_materials_transmission with a texture")
  if _number(transmission.get("transmissionFactor", 0)) > OPAQUE_FROM:
    return None
  return Look(
    color=color[:3],
    alpha=color[3],
    base=base,
    glow=glow if any(glow) else None,
    glow_texture=glow_texture if any(glow) else None,
    cutoff=cutoff,
    linear=True,
    lit="KHR_materials_unlit" not in extensions,
    two_sided=bool(material.get("doubleSided", False)),
  )


def _base(file: GltfFile, material: dict, extensions: dict):
  """Returns the RGBA factor and the texture of the surface's colour."""
  old = extensions.get("KHR_materials_pbrSpecularGlossiness")
  if old is not None:
    color = old.get("diffuseFactor", (1, 1, 1, 1))
    return _numbers(color, 4), _texture_use(file, old.get("diffuseTexture"))
  pbr = material.get("pbrMetallicRoughness", {})
  color = _numbers(pbr.get("baseColorFactor", (1, 1, 1, 1)), 4)
  return color, _texture_use(file, pbr.get("baseColorTexture"))


def _texture_use(file: GltfFile, info: dict | None) -> TextureUse | None:
  """Reads a reference to a texture; None if its picture cannot be used."""
  if info is None:
    return None
  texture = file.item("textures", info["index"])
  transform = info.get("extensions", {}).get("KHR_texture_transform", {})
  number = transform.get("texCoord", info.get("texCoord", 0))
  sampler = {}
  if "sampler" in texture:
    sampler = file.item("samplers", texture["sampler"])
  wrap = tuple(_WRAPS[sampler.get(key, 10497)] for key in ("wrapS", "wrapT"))
  pixels = _pixels(file, info["index"])
  matrix = _transform(transform)
  if pixels is None:
    return None
  nearest = sampler.get("magFilter") == _NEAREST
  return TextureUse(Texture(pixels, wrap, nearest), matrix, number)


def _pixels(file: GltfFile, index: int) -> np.ndarray | None:
  """Returns the picture [H, W, 4] of a texture, which may have several.

  Returns None, with a note, if none of them can be used.
  """
  texture = file.item("textures", index)
  extensions = texture.get("extensions", {})
  for name in _PICTURES:
    if name in extensions:
      pixels = file.picture(extensions[name]["source"])
      # If there is a core picture too, this one is used only if it decodes.
      if "source" not in texture or pixels is not None:
        return pixels
  if "source" in texture:
    return file.picture(texture["source"])
  for name in extensions:
    refuse(file.refers.label, name)
  note = f"the texture {index} is not used (it has no picture)"
  if note not in file.refers.notes:  # several materials may have it
    file.refers.notes.append(note)
  return None


def _transform(transform: dict) -> np.ndarray:
  """Converts KHR_texture_transform to a matrix [2, 3]: scale, rotate, move."""
  angle = _number(transform.get("rotation", 0))
  su, sv = _numbers(transform.get("scale", (1, 1)), 2)
  u, v = _numbers(transform.get("offset", (0, 0)), 2)
  c, s = math.cos(angle), math.sin(angle)
  return np.array([[c * su, s * sv, u], [-s * su, c * sv, v]])


def _number(value) -> float:
  if not isinstance(value, (int, float)) or not math.isfinite(value):
    raise ValueError(f"{value!r} is not a number")
  return float(value)


def _numbers(values, count: int) -> tuple[float, ...]:
  if len(values) != count:
    raise ValueError(f"{values!r} does not hold {count} numbers")
  return tuple(_number(value) for value in values)
