# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Bytes of PyTorch files, right and wrong ones, opcode by opcode; no torch.

path.write_bytes(zip_file(program(state), storages(state)))
"""

from collections.abc import Mapping
import io
import struct
import zipfile

import numpy as np

STORAGE = {"float32": "FloatStorage", "int64": "LongStorage"}
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(value: str) -> bytes:
  data = value.encode()
  return b"X" + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
  return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def integers(values) -> bytes:
  return b"(" + b"".join(map(integer, values)) + b"t"


def tensor(
  key: str,
  *,
  shape,
  strides,
  size: int,
  offset: int = 0,
  kind: str = "FloatStorage",
) -> bytes:
  """The opcodes that leave one tensor on the stack."""
  storage = (
    b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key)
    + text("cpu") + integer(size) + b"tQ"
  )  # fmt: skip
  rest = integer(offset) + integers(shape) + integers(strides) + b"\x89N"
  return REBUILD + b"(" + storage + rest + b"tR"


def dictionary(values: Mapping[str, bytes]) -> bytes:
  """A whole program, from the opcodes of each value."""
  items = b"".join(text(k) + v for k, v in values.items())
  return b"\x80\x02}(" + items + b"u."


def program(state: Mapping[str, np.ndarray]) -> bytes:
  tensors = {
    name: tensor(
      name,
      shape=x.shape,
      strides=[s // x.itemsize for s in x.strides],
      size=x.size,
      kind=STORAGE[x.dtype.name],
    )
    for name, x in state.items()
  }
  return dictionary(tensors)


def storages(state: Mapping[str, np.ndarray]) -> dict[str, bytes]:
  return {name: x.tobytes() for name, x in state.items()}


def zip_file(
  pickled: bytes,
  members: Mapping[str, bytes],
  compression: int = zipfile.ZIP_STORED,
) -> bytes:
  """The format of torch >= 1.6."""
  out = io.BytesIO()
  with zipfile.ZipFile(out, "w", compression) as archive:
    archive.writestr("archive/data.pkl", pickled)
    archive.writestr("archive/byteorder", "little")
    for key, data in members.items():
      archive.writestr(f"archive/data/{key}", data)
  return out.getvalue()


def legacy_file(pickled: bytes, members: Mapping[str, bytes]) -> bytes:
  """The format before; storages of float32."""
  magic = b"\x8a\x0a" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little")
  head = b"\x80\x02" + magic + b"." + b"\x80\x02M\xe9\x03."
  system = b"\x80\x02}" + text("little_endian") + b"\x88s."
  keys = b"\x80\x02](" + b"".join(map(text, members)) + b"e."
  body = b"".join(
    struct.pack("<Q", len(data) // 4) + data for data in members.values()
  )
  return head + system + pickled + keys + body
