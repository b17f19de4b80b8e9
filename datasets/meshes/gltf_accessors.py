# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the data of glTF 2.0 files: JSON, buffers, accessors, pictures.

file = GltfFile(data, refers)
positions = file.accessor(3)      # [count, components]
pixels = file.picture(0)          # uint8 [H, W, 4]
"""

import base64
import functools
import json
import struct
import urllib.parse

from meshes.gltf_extensions import check_extensions, refuse
from meshes.references import References
import numpy as np

from threedim_jax.runtime.errors import UserError

_MAX_VALUES = 2**24  # of an accessor without bytes, whose values are all zero
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_DTYPES = {
  5120: np.int8,
  5121: np.uint8,
  5122: np.int16,
  5123: np.uint16,
  5125: np.uint32,
  5126: np.float32,
}
_SHAPES = {
  "SCALAR": (1,),
  "VEC2": (2,),
  "VEC3": (3,),
  "VEC4": (4,),
  "MAT2": (2, 2),
  "MAT3": (3, 3),
  "MAT4": (4, 4),
}
_COMPRESSIONS = ("EXT_meshopt_compression", "KHR_meshopt_compression")


class GltfFile:
  """A .glb or .gltf file, and the files that it refers to."""

  def __init__(self, data: bytes, refers: References):
    """Reads the JSON header.

    Raises:
      UserError: the file has another version or requires an unknown extension.
      ValueError: the file is broken. Parsing may raise other errors, too.
    """
    self.refers = refers
    self._binary = None
    # `functools.cache` as a decorator would keep the file in memory for ever.
    self.buffer = functools.cache(self._buffer)
    self.accessor = functools.cache(self._accessor)
    self.picture = functools.cache(self._picture)
    if data[:4] == b"glTF":
      data = self._unpack(data)
    self.header = json.loads(data.decode("utf-8-sig"))
    if not isinstance(self.header, dict):
      raise ValueError("its JSON is not an object")
    asset = self.header.get("asset", {})
    version = str(asset.get("minVersion", asset.get("version", "")))
    if version.split(".")[0] != "2":
      raise UserError(
        f"{refers.label} is glTF {version or 'without a version'}, and only"
        " 2.x is read: export the model again as glTF 2.0."
      )
    check_extensions(self.header, refers.label)

  def _unpack(self, data: bytes) -> bytes:
    """Returns the JSON chunk of a GLB file, and keeps the binary chunk."""
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
      raise UserError(
        f"{self.refers.label} is binary glTF {version}, and only 2 is read:"
        " export the model again as glTF 2.0."
      )
    if length > len(data):
      raise ValueError(f"it has {len(data)} bytes of {length}")
    place, text = 12, None
    while place + 8 <= length:
      size, kind = struct.unpack_from("<II", data, place)
      chunk = data[place + 8 : place + 8 + size]
      if len(chunk) < size:
        raise ValueError("a chunk ends after the file")
      if kind == _JSON_CHUNK and text is None:
        text = chunk
      elif kind == _BINARY_CHUNK and self._binary is None:
        self._binary = chunk
      place += 8 + size
    if text is None:
      raise ValueError("it has no JSON chunk")
    return text

  def item(self, kind: str, index) -> dict:
    """Returns an object of one of the top-level arrays.

    Raises:
      ValueError: there is no object with this index.
    """
    items = self.header.get(kind, ())
    is_index = isinstance(index, int) and not isinstance(index, bool)
    if not is_index or not 0 <= index < len(items):
      raise ValueError(f"{kind} {index!r} does not exist")
    return items[index]

  def _buffer(self, index: int) -> bytes:
    """Reads a buffer from the file itself, a `data:` URI or another file."""
    buffer = self.item("buffers", index)
    uri = buffer.get("uri")
    if uri is None:
      if index != 0 or self._binary is None:
        for name in _COMPRESSIONS:
          if name in buffer.get("extensions", {}):
            refuse(self.refers.label, name)
        raise ValueError(f"buffer {index} has no bytes")
      data = self._binary
    else:
      data = _data_uri(uri)
      if data is None:
        data = self.refers.read(self.refers.find(uri))
    if len(data) < buffer["byteLength"]:
      raise ValueError(
        f"buffer {index} has {len(data)} bytes of {buffer['byteLength']}"
      )
    return data

  def view(self, index: int) -> memoryview:
    """Returns the bytes of a buffer view."""
    view = self.item("bufferViews", index)
    start, length = view.get("byteOffset", 0), view["byteLength"]
    data = memoryview(self.buffer(view["buffer"]))
    if start < 0 or length < 0 or start + length > len(data):
      raise ValueError(f"buffer view {index} leaves its buffer")
    return data[start : start + length]

  def _accessor(self, index: int) -> np.ndarray:
    """Reads an accessor's values [count, *shape], with sparse values filled in.

    Normalized integers become float64 in 0 .. 1 or -1 .. 1, other numbers keep
    their type. Matrices are indexed [row, column].
    """
    accessor = self.item("accessors", index)
    dtype = np.dtype(_DTYPES[accessor["componentType"]]).newbyteorder("<")
    shape, count = _SHAPES[accessor["type"]], accessor["count"]
    if not isinstance(count, int) or count < 1:
      raise ValueError(f"accessor {index} has a count of {count!r}")
    if "bufferView" in accessor:
      values = self._values(
        accessor["bufferView"],
        accessor.get("byteOffset", 0),
        dtype,
        shape,
        count,
      )
    elif count * int(np.prod(shape)) > _MAX_VALUES:
      raise ValueError(f"accessor {index} has a count of {count}")
    else:
      values = np.zeros((count, *shape), dtype)
    if "sparse" in accessor:
      values = self._fill_in(values, accessor["sparse"], dtype, shape)
    if accessor.get("normalized") and dtype.kind in "iu":
      values = np.maximum(values / np.iinfo(dtype).max, -1)
    return values.swapaxes(1, 2) if len(shape) == 2 else values

  def _values(self, view: int, offset: int, dtype, shape, count) -> np.ndarray:
    """Reads values that are `byteStride` apart."""
    data = self.view(view)
    # Columns of matrices start at multiples of four bytes.
    column = shape[-1] * dtype.itemsize
    columns = shape[0] if len(shape) == 2 else 1
    padded = -(-column // 4) * 4 if len(shape) == 2 else column
    size = padded * (columns - 1) + column
    stride = self.item("bufferViews", view).get("byteStride", padded * columns)
    if (
      offset < 0
      or stride < 1
      or offset + stride * (count - 1) + size > len(data)
    ):
      raise ValueError(f"an accessor leaves buffer view {view}")
    strides = (stride, padded, dtype.itemsize)
    if len(shape) == 1:
      strides = (stride, dtype.itemsize)
    return np.ndarray((count, *shape), dtype, data, offset, strides).copy()

  def _fill_in(self, values, sparse: dict, dtype, shape) -> np.ndarray:
    count = sparse["count"]
    where, what = sparse["indices"], sparse["values"]
    places = self._values(
      where["bufferView"],
      where.get("byteOffset", 0),
      np.dtype(_DTYPES[where["componentType"]]).newbyteorder("<"),
      (1,),
      count,
    )[:, 0]
    if places.max(initial=0) >= len(values):
      raise ValueError("a sparse accessor leaves its array")
    values[places.astype(np.int64)] = self._values(
      what["bufferView"], what.get("byteOffset", 0), dtype, shape, count
    )
    return values

  def _picture(self, index: int) -> np.ndarray | None:
    """Decodes a picture to uint8 [H, W, 4]; None, with a note, if unusable."""
    image = self.item("images", index)
    uri = image.get("uri")
    if uri is None:
      data = bytes(self.view(image["bufferView"]))
    else:
      data = _data_uri(uri)
      if data is None:
        return self.refers.texture(uri)
    return self.refers.decode(data, f"image {index}")


def _data_uri(uri: str) -> bytes | None:
  """Returns the bytes of a `data:` URI; None for other URIs."""
  if not uri.startswith("data:"):
    return None
  head, _, body = uri.partition(",")
  if head.endswith(";base64"):
    return base64.b64decode(body)
  return urllib.parse.unquote_to_bytes(body)
