# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the state dict (tensors by name) of a PyTorch file without PyTorch.

  state = read_state_dict(path, sha256="57...", origin="Get it from ...")
  state["fc.bias"]  # a NumPy array
  fold_batch_norm(state, conv="stem.conv", norm="stem.bn")

The file must have a known SHA-256, which is checked before any parsing. The
pickle in the file may contain only tensors and ordered dictionaries. Both the
zip format of torch >= 1.6 and the older format can be read.
"""

import collections
import hashlib
import io
import math
import os
import pathlib
import pickle
import pickletools
import zipfile

from einops import rearrange
import ml_dtypes
import numpy as np

from threedim_jax.runtime.errors import UserError, first_line

StateDict = dict[str, np.ndarray]

_EPSILON = 1e-3  # in the batch norms of both networks: TensorFlow's default
_DTYPES = {
  "DoubleStorage": np.float64,
  "FloatStorage": np.float32,
  "HalfStorage": np.float16,
  "BFloat16Storage": ml_dtypes.bfloat16,
  "LongStorage": np.int64,
  "IntStorage": np.int32,
  "ShortStorage": np.int16,
  "CharStorage": np.int8,
  "ByteStorage": np.uint8,
  "BoolStorage": np.bool_,
}


_ALLOWED = {
  "collections.OrderedDict": collections.OrderedDict,
  "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
  **{f"torch.{name}": np.dtype(dtype) for name, dtype in _DTYPES.items()},
}
_TENSORS = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}


class _Unpickler(pickle.Unpickler):
  """An unpickler that turns PyTorch tensors into NumPy arrays.

  PyTorch keeps the elements of tensors in flat arrays ("storages"). An
  unpickled tensor is a NumPy view of a storage.

  Args:
    stream: the pickle.
    load_storage: function (key, dtype, number of elements) -> flat array.
    num_bytes: size of the file. A tensor may not have more elements than this,
      and the pickle may not use a memo index above this, so that a small file
      cannot make the unpickler allocate a lot of memory.
  """

  def __init__(self, stream, load_storage=None, *, num_bytes: int):
    super().__init__(stream)
    self._stream = stream
    self._load_storage = load_storage
    self._num_bytes = num_bytes

  def load(self):
    start = self._stream.tell()
    for opcode, argument, _ in pickletools.genops(self._stream):
      if opcode.name.endswith("PUT") and argument > self._num_bytes:
        raise pickle.UnpicklingError(f"it numbers an object {argument}")
    self._stream.seek(start)
    return super().load()

  def find_class(self, module: str, name: str):
    full_name = f"{module}.{name}"
    if full_name in _TENSORS:
      return self._rebuild_tensor
    if full_name not in _ALLOWED:
      raise pickle.UnpicklingError(f"it refers to {full_name}")
    return _ALLOWED[full_name]

  def persistent_load(self, pid):
    _, dtype, key, _, size, *_ = pid
    if not isinstance(dtype, np.dtype):
      raise pickle.UnpicklingError(f"a storage is of type {dtype!r}")
    return self._load_storage(key, dtype, size)

  def _rebuild_tensor(self, storage, offset, shape, strides, *_):
    """Returns a tensor as a NumPy view of the flat array `storage`.

    Args:
      offset: index of the tensor's first element in the storage.
      strides: for each axis of the tensor, how far apart neighbours are in the
        storage, in elements.

    Raises:
      pickle.UnpicklingError: the tensor is not a view inside the storage, or
        has more elements than the file has bytes.
    """
    numbers = (offset, *shape, *strides)
    is_view = len(shape) == len(strides) and min(numbers) >= 0
    count = math.prod(shape)
    last = offset + sum(
      (n - 1) * stride for n, stride in zip(shape, strides, strict=True)
    )
    if not is_view or (count and last >= storage.size):
      raise pickle.UnpicklingError("a tensor reaches outside its storage")
    if count > self._num_bytes:
      raise pickle.UnpicklingError(f"a tensor has {count} elements")
    if not count:
      return np.empty(shape, storage.dtype)
    strides = [s * storage.itemsize for s in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, strides)


def read_state_dict(
  path: os.PathLike | str, *, sha256: str, origin: str
) -> StateDict:
  """Reads the tensors of a PyTorch file.

  Args:
    path: path of a `.pt` or `.pth` file.
    sha256: hexadecimal digest that the file must have.
    origin: sentence for error messages that says where to get the right file.

  Returns:
    {name of the tensor: array}.

  Raises:
    UserError: the file is missing, is damaged or has another digest, or its
      pickle contains something other than tensors and ordered dictionaries.
  """
  path = pathlib.Path(path)
  try:
    data = path.read_bytes()
  except OSError as e:
    raise UserError(f"cannot read {path}: {e.strerror}. {origin}") from e
  digest = hashlib.sha256(data).hexdigest()
  if digest != sha256:
    raise UserError(
      f"{path} is not the file it should be: its SHA-256 is {digest}, expected"
      f" {sha256}. {origin}"
    )
  read = _read_zip if data.startswith(b"PK\3\4") else _read_legacy
  try:
    state = dict(read(data))
  # Many types of exception are possible, depending on which byte is wrong.
  except Exception as e:
    raise UserError(
      f"{path} is not a plain PyTorch state dict: {first_line(e)}"
    ) from e
  for key, tensor in state.items():
    if not isinstance(key, str) or not isinstance(tensor, np.ndarray):
      raise UserError(
        f"{path} is not a plain PyTorch state dict: {key!r} is not a tensor"
      )
  return state


def _read_zip(data: bytes) -> dict:
  archive = zipfile.ZipFile(io.BytesIO(data))
  if sum(member.file_size for member in archive.infolist()) > len(data):
    raise ValueError("it is compressed, which PyTorch does not do")
  pickles = [n for n in archive.namelist() if n.endswith("/data.pkl")]
  if len(pickles) != 1:
    raise ValueError(f"it has {len(pickles)} files named data.pkl, not one")
  root = pickles[0].removesuffix("data.pkl")
  storages = {}

  def load_storage(key, dtype, size):
    if key not in storages:
      storages[key] = np.frombuffer(archive.read(f"{root}data/{key}"), dtype)
    return storages[key]

  stream = io.BytesIO(archive.read(pickles[0]))
  return _Unpickler(stream, load_storage, num_bytes=len(data)).load()


def _read_legacy(data: bytes) -> dict:
  """Reads the state dict from the bytes of a file of torch < 1.6.

  The file has five pickles: a magic number, a version, facts about the system,
  the tensors, and the keys of the storages. The elements of the storages
  follow.
  """
  stream, storages = io.BytesIO(data), {}

  def load_storage(key, dtype, size):
    if size * dtype.itemsize > len(data):
      raise ValueError(f"a storage has {size} elements, more than the file")
    return storages.setdefault(key, np.empty(size, dtype))

  def load():
    return _Unpickler(stream, load_storage, num_bytes=len(data)).load()

  for _ in range(3):
    load()
  state = load()
  for key in load():
    stream.seek(8, os.SEEK_CUR)  # skips the number of elements, known by now
    storage = storages[key].view(np.uint8)
    storage[:] = np.frombuffer(stream.read(storage.size), np.uint8)
  return state


def fold_batch_norm(
  state: StateDict, *, conv: str, norm: str
) -> dict[str, np.ndarray]:
  """Merges a convolution and the batch norm after it into one convolution.

  Args:
    state: a PyTorch state dict.
    conv: name of a convolution without bias.
    norm: name of the batch norm that follows the convolution.

  Returns:
    {"kernel": [h, w, in, out], "bias": [out]} in float32.
  """
  scale, offset, mean, var = (
    state[f"{norm}.{name}"].astype(np.float64)
    for name in ("weight", "bias", "running_mean", "running_var")
  )
  gain = scale / np.sqrt(var + _EPSILON)
  kernel = rearrange(state[f"{conv}.weight"], "o i h w -> h w i o") * gain
  bias = offset - mean * gain
  return {"kernel": np.float32(kernel), "bias": np.float32(bias)}
