# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the state dict of a PyTorch file: no torch, and nothing is unpickled.

Both formats are read, that of torch >= 1.6 (a zip file) and the one before;
`torch_pickle` follows the pickle programs in them.

  state = read_state_dict(path)  # {"fc.bias": array, ...}
"""

import hashlib
import io
import os
import pathlib
from typing import Any
import zipfile

import numpy as np

from threedim_jax.evaluation.distances.torch_pickle import (
  Refused,
  Tensor,
  follow,
  require,
)
from threedim_jax.runtime.errors import UserError

StateDict = dict[str, np.ndarray]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


def read_state_dict(
  path: os.PathLike | str, *, sha256: str | None = None, origin: str = ""
) -> StateDict:
  """Tensors by name, as read-only views of the file's bytes.

  Args:
    path: of a `.pt` or `.pth` file.
    sha256: hexadecimal digest that the file must have; None if any will do.
    origin: sentence that says where the right file comes from.

  Raises:
    UserError: no such file, another digest, or no plain state dict.
  """
  path = pathlib.Path(path)
  try:
    data = path.read_bytes()
  except OSError as e:
    raise UserError(f"cannot read {path}: {e.strerror}. {origin}") from e
  digest = hashlib.sha256(data).hexdigest()
  if sha256 and digest != sha256:
    raise UserError(
      f"{path} is not the file it should be: its SHA-256 is {digest}, expected"
      f" {sha256}. {origin}"
    )
  try:
    read = _read_zip if data.startswith(b"PK\3\4") else _read_legacy
    return read(data)
  except Refused as e:
    raise UserError(f"{path} is no plain PyTorch state dict: {e}") from e


def _read_zip(data: bytes) -> StateDict:
  try:
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = [n for n in archive.namelist() if n.split("/")[1:] == ["data.pkl"]]
    if len(names) != 1:
      raise Refused("the zip file has no data.pkl")
    root = names[0].removesuffix("data.pkl")
    members = archive.infolist()
    # As torch writes them: so what is read cannot exceed the file.
    require(
      all(m.compress_type == zipfile.ZIP_STORED for m in members)
      and sum(m.file_size for m in members) <= len(data),
      "the zip file is compressed, or its sizes are false",
    )
    if f"{root}byteorder" in archive.namelist():
      order = archive.read(f"{root}byteorder")
      require(order == b"little", "it is big-endian")
    tree = follow(io.BytesIO(archive.read(f"{root}data.pkl")))
    # Tensors may share a storage: read each once.
    keys = {t.storage.key for t in _tensors(tree).values()}
    storages = {key: archive.read(f"{root}data/{key}") for key in keys}
  except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError,
          RuntimeError, ValueError, OSError) as e:  # fmt: skip
    raise Refused(f"broken zip file: {e}") from e
  return _arrays(tree, storages)


def _read_legacy(data: bytes) -> StateDict:
  """Five pickles (magic, version, system, tree, keys), then the storages."""
  stream = io.BytesIO(data)
  require(follow(stream) == _LEGACY_MAGIC, "it does not start like one")
  require(follow(stream) == _LEGACY_PROTOCOL, "unknown version")
  system = follow(stream)
  little = isinstance(system, dict) and system.get("little_endian")
  require(little is True, "it is big-endian")
  tree = follow(stream)
  sizes = {t.storage.key: t.storage for t in _tensors(tree).values()}
  keys = follow(stream)
  require(isinstance(keys, list), "it has no list of storages")
  storages = {}
  for key in keys:
    require(type(key) is str and key in sizes, "a storage of no tensor")
    length = int.from_bytes(stream.read(8), "little")
    num_bytes = length * sizes[key].dtype.itemsize
    require(
      length == sizes[key].size and num_bytes <= len(data),
      f"storage {key[:100]!r} has another size",
    )
    storages[key] = stream.read(num_bytes)
  return _arrays(tree, storages)


def _tensors(tree: Any) -> dict[str, Tensor]:
  require(
    type(tree) is dict
    and all(isinstance(tensor, Tensor) for tensor in tree.values()),
    "it must be one dictionary of nothing but tensors",
  )
  return tree


def _arrays(tree: Any, storages: dict[str, bytes]) -> StateDict:
  arrays = {}
  for name, tensor in _tensors(tree).items():
    storage, strides = tensor.storage, tensor.strides
    content = storages.get(storage.key, b"")
    itemsize = storage.dtype.itemsize
    last = tensor.offset + sum(
      (n - 1) * s for n, s in zip(tensor.shape, strides, strict=True)
    )
    empty = 0 in tensor.shape
    if len(content) != storage.size * itemsize or (
      last >= storage.size and not empty
    ):
      raise Refused(f"{name!r} lies outside the bytes of the file")
    try:
      arrays[name] = np.ndarray(
        tensor.shape,
        storage.dtype,
        b"" if empty else content,
        0 if empty else tensor.offset * itemsize,
        None if empty else tuple(s * itemsize for s in strides),
      )
    except (ValueError, TypeError, OverflowError) as e:
      # More elements than NumPy can count, by strides of zero.
      raise Refused(f"{name!r}: {e}") from e
  return arrays
