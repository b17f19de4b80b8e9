# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds small GLB files, a feature of the standard at a time.

glb = Glb()
position = glb.add(np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]]))
glb.mesh({"POSITION": position}, material=glb.material(color=[1, 0, 0, 1]))
path.write_bytes(glb.bytes())
"""

import io
import json
import struct

import numpy as np
from PIL import Image

_COMPONENTS = {
  "int8": 5120,
  "uint8": 5121,
  "int16": 5122,
  "uint16": 5123,
  "uint32": 5125,
  "float32": 5126,
}
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


class Glb:
  """A file that grows: `json` is its header, free to be changed."""

  def __init__(self):
    self.data = b""
    self.json = {
      "asset": {"version": "2.0"},
      "bufferViews": [],
      "accessors": [],
      "nodes": [],
      "meshes": [],
    }

  def view(self, data: bytes, **more) -> int:
    self.data += bytes(-len(self.data) % 4)
    view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
    self.data += data
    return self.item("bufferViews", view | more)

  def item(self, kind: str, value: dict) -> int:
    self.json.setdefault(kind, []).append(value)
    return len(self.json[kind]) - 1

  def add(self, values: np.ndarray, **more) -> int:
    """An accessor for values [N] or [N, components]."""
    values = values.reshape(len(values), -1)
    accessor = {
      "bufferView": self.view(values.tobytes()),
      "componentType": _COMPONENTS[values.dtype.name],
      "count": len(values),
      "type": _TYPES[values.shape[1]],
    }
    return self.item("accessors", accessor | more)

  def texture(self, pixels: np.ndarray, format="PNG", **sampler) -> dict:
    """A textureInfo for pixels [H, W, 3 or 4]."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    kind = f"image/{format.lower()}"
    image = {"bufferView": self.view(file.getvalue()), "mimeType": kind}
    texture = {"source": self.item("images", image)}
    if sampler:
      texture["sampler"] = self.item("samplers", sampler)
    return {"index": self.item("textures", texture)}

  def material(self, color=None, texture=None, **more) -> int:
    pbr = {}
    if color is not None:
      pbr["baseColorFactor"] = list(color)
    if texture is not None:
      pbr["baseColorTexture"] = texture
    return self.item("materials", {"pbrMetallicRoughness": pbr} | more)

  def mesh(self, attributes: dict, node=None, **primitive) -> int:
    """A mesh of one primitive, on a node of its own."""
    primitive = {"attributes": attributes} | primitive
    mesh = self.item("meshes", {"primitives": [primitive]})
    return self.item("nodes", {"mesh": mesh} | (node or {}))

  def bytes(self, with_buffer=True) -> bytes:
    """The file; its header gets a buffer unless it is to stay as it is."""
    if self.data and with_buffer:
      self.json["buffers"] = [{"byteLength": len(self.data)}]
    text = json.dumps(self.json).encode()
    text += b" " * (-len(text) % 4)
    data = self.data + bytes(-len(self.data) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    chunks += struct.pack("<II", len(data), 0x004E4942) + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
