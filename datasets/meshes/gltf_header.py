# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Refuses the glTF files that trimesh reads wrongly without a word.

  check_header(data, "chair.glb")

Compressed geometry would come out as zeros, transformed texture coordinates
as if they were not, 16-bit colours as what is left of them in 8 bits, and an
object with a texture that does not decode would have none.
"""

import base64
import json

from threedim_jax.inputs.posed_images.pictures import open_picture
from threedim_jax.runtime.errors import UserError

_GLB = b"glTF"
_JSON_LENGTH = slice(12, 16)
_JSON_START = 20
_CHUNK_HEADER = 8
_UNSIGNED_SHORT = 5123
# Of how light is reflected, which is of no matter to diffuse faces, and WebP.
_HARMLESS = ("KHR_materials_", "KHR_lights_", "KHR_xmp", "EXT_texture_webp")
_TRANSFORM, _WEBP = "KHR_texture_transform", "EXT_texture_webp"


def check_header(data: bytes, source: str) -> None:
  """Does nothing to files that are no glTF: their parser will say so.

  Raises:
    UserError: the file needs something that is not read.
  """
  binary = b""
  if data.startswith(_GLB):
    end = _JSON_START + int.from_bytes(data[_JSON_LENGTH], "little")
    data, binary = data[_JSON_START:end], data[end + _CHUNK_HEADER :]
  try:
    header = json.loads(data)
    fault = _geometry_fault(header) or _texture_fault(header)
    pictures = {} if fault else _embedded_pictures(header, binary)
  except (ValueError, KeyError, IndexError, TypeError, AttributeError):
    return
  if fault:
    raise UserError(f"{source} has {fault}: export it again without.")
  for number, picture in pictures.items():
    open_picture(picture, f"{source}: the texture {number}")


def _geometry_fault(header: dict) -> str | None:
  for extension in header.get("extensionsRequired", ()):
    if not extension.startswith(_HARMLESS):
      return f"the extension {extension}, which is not read"
  for mesh in header.get("meshes", ()):
    for primitive in mesh["primitives"]:
      color = primitive["attributes"].get("COLOR_0")
      if color is None or "material" in primitive:
        continue
      if header["accessors"][color]["componentType"] == _UNSIGNED_SHORT:
        return "16-bit vertex colours and no material"
  return None


def _texture_fault(header: dict) -> str | None:
  for base in _base_textures(header):
    if _TRANSFORM in base.get("extensions", {}):
      return f"a texture with {_TRANSFORM}, which is not read"
    if _picture_number(header, base) is None:
      return "a texture of a kind that is not read"
  return None


def _base_textures(header: dict) -> list[dict]:
  materials = [
    m.get("pbrMetallicRoughness", {}) for m in header.get("materials", ())
  ]
  return [m["baseColorTexture"] for m in materials if "baseColorTexture" in m]


def _picture_number(header: dict, base: dict) -> int | None:
  texture = header["textures"][base["index"]]
  webp = texture.get("extensions", {}).get(_WEBP, {})
  return webp.get("source", texture.get("source"))


def _embedded_pictures(header: dict, binary: bytes) -> dict[int, bytes]:
  """Those of base colours in the file; others are checked when read."""
  pictures = {}
  for number in {_picture_number(header, b) for b in _base_textures(header)}:
    image = header["images"][number]
    uri = image.get("uri", "")
    if uri.startswith("data:"):
      pictures[number] = base64.b64decode(uri.split(",", 1)[1])
    elif "bufferView" in image and binary:
      view = header["bufferViews"][image["bufferView"]]
      start = view.get("byteOffset", 0)
      pictures[number] = binary[start : start + view["byteLength"]]
  return pictures
