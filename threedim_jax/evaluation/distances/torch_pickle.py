# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Follows the pickle program of a PyTorch state dict without executing it.

A pickle program may call anything. Here it is walked opcode by opcode: those
that build plain data are followed, the few globals of a state dict are
symbols, and whatever else is an error. Nothing is imported or called by the
program's will.

  tree = follow(stream)  # {"fc.bias": Tensor(Storage(...), ...), ...}
"""

from collections.abc import Callable
import dataclasses
import io
import pickletools
from typing import Any

import ml_dtypes
import numpy as np

_DTYPES = {
  "torch DoubleStorage": np.float64,
  "torch FloatStorage": np.float32,
  "torch HalfStorage": np.float16,
  "torch BFloat16Storage": ml_dtypes.bfloat16,
  "torch LongStorage": np.int64,
  "torch IntStorage": np.int32,
  "torch ShortStorage": np.int16,
  "torch CharStorage": np.int8,
  "torch ByteStorage": np.uint8,
  "torch BoolStorage": np.bool_,
}
_ORDERED_DICT = "collections OrderedDict"
_TENSORS = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor"
_PARAMETER = "torch._utils _rebuild_parameter"
_GLOBALS = {*_DTYPES, *_TENSORS, _ORDERED_DICT, _PARAMETER}


@dataclasses.dataclass(frozen=True)
class _Global:
  name: str  # "module attribute"


@dataclasses.dataclass(frozen=True)
class Storage:
  key: str
  dtype: np.dtype
  size: int  # elements


@dataclasses.dataclass(frozen=True)
class Tensor:
  storage: Storage
  offset: int  # elements, as all below
  shape: tuple[int, ...]
  strides: tuple[int, ...]


class Refused(Exception):
  """What is wrong with the file; becomes a `UserError` with its name."""


def require(condition: bool, message: str) -> None:
  if not condition:
    raise Refused(message)


def follow(stream: io.BytesIO) -> Any:
  """The value that one pickle program builds; leaves `stream` behind it."""
  machine = _Machine()
  try:
    for opcode, arg, _ in pickletools.genops(stream):  # decodes, no more
      machine.step(opcode.name, arg)
  except ValueError as e:
    raise Refused(f"broken pickle: {e}") from e
  except (IndexError, KeyError, TypeError) as e:
    raise Refused(f"broken pickle: {type(e).__name__}") from e
  require(len(machine.stack) == 1, "broken pickle: no single value")
  return machine.stack[0]


class _Machine:
  """Executes the opcodes of a state dict's pickle on a stack of plain data."""

  def __init__(self):
    self.stack: list[Any] = []
    self._marked: list[list[Any]] = []  # the stacks below each open MARK
    self._memo: dict[int, Any] = {}

  def step(self, name: str, arg: Any) -> None:
    if name not in _OPCODES:
      raise Refused(f"the pickle opcode {name} has no place in one")
    _OPCODES[name](self, arg)

  def push(self, value: Any) -> None:
    self.stack.append(value)

  def mark(self) -> None:
    self._marked.append(self.stack)
    self.stack = []

  def pop_mark(self) -> list[Any]:
    items, self.stack = self.stack, self._marked.pop()
    return items

  def pop(self, count: int) -> list[Any]:
    return [self.stack.pop() for _ in range(count)][::-1]

  def put(self, index: int | None) -> None:
    self._memo[len(self._memo) if index is None else index] = self.stack[-1]

  def get(self, index: int) -> None:
    self.push(self._memo[index])

  def append(self, items: list[Any]) -> None:
    require(type(self.stack[-1]) is list, "broken pickle: no list")
    self.stack[-1].extend(items)

  def set_items(self, items: list[Any]) -> None:
    keys = items[::2]
    # Also because hashing a deep enough tuple would overflow the C stack.
    require(all(type(k) is str for k in keys), "a key that is no string")
    require(type(self.stack[-1]) is dict, "broken pickle: no dictionary")
    self.stack[-1].update(zip(keys, items[1::2], strict=True))

  def build(self) -> None:
    """Attributes (`_metadata`: versions of modules) are left out."""
    self.stack.pop()
    require(type(self.stack[-1]) is dict, "attributes of no dictionary")

  def symbol(self, *names: Any) -> None:
    require(all(type(n) is str for n in names), "broken pickle: no name")
    name = " ".join(names)
    if name not in _GLOBALS:
      raise Refused(
        f"it asks for {name.replace(' ', '.')[:100]!r}, which was not looked up"
      )
    self.push(_Global(name))

  def persistent(self) -> None:
    name = self.stack.pop()
    require(type(name) is tuple, "a storage of an unknown kind")
    kind, dtype, key, _, size, *views = name
    require(
      kind == "storage"
      and isinstance(dtype, _Global)
      and dtype.name in _DTYPES
      and type(key) is str
      and _is_size(size)
      and all(view is None for view in views),
      "a storage of an unknown kind",
    )
    self.push(Storage(key, np.dtype(_DTYPES[dtype.name]), size))

  def reduce(self) -> None:
    function, args = self.pop(2)
    require(
      isinstance(function, _Global) and type(args) is tuple,
      "broken pickle: no function",
    )
    if function.name == _ORDERED_DICT and not args:
      self.push({})
    elif function.name in _TENSORS:
      self.push(_tensor(*args[:4]))
    elif function.name == _PARAMETER:
      self.push(args[0])
    else:
      raise Refused(f"a call of {function.name}")


# All that protocols 2 to 4 need for such a file.
_OPCODES: dict[str, Callable[[_Machine, Any], None]] = {
  **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda m, arg: None),
  **dict.fromkeys(
    ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE",
     "SHORT_BINUNICODE"),
    _Machine.push,
  ),
  "NONE": _Machine.push,
  "NEWTRUE": lambda m, arg: m.push(True),
  "NEWFALSE": lambda m, arg: m.push(False),
  "EMPTY_TUPLE": lambda m, arg: m.push(()),
  "EMPTY_LIST": lambda m, arg: m.push([]),
  "EMPTY_DICT": lambda m, arg: m.push({}),
  "MARK": lambda m, arg: m.mark(),
  "TUPLE": lambda m, arg: m.push(tuple(m.pop_mark())),
  "TUPLE1": lambda m, arg: m.push(tuple(m.pop(1))),
  "TUPLE2": lambda m, arg: m.push(tuple(m.pop(2))),
  "TUPLE3": lambda m, arg: m.push(tuple(m.pop(3))),
  "APPEND": lambda m, arg: m.append(m.pop(1)),
  "APPENDS": lambda m, arg: m.append(m.pop_mark()),
  "SETITEM": lambda m, arg: m.set_items(m.pop(2)),
  "SETITEMS": lambda m, arg: m.set_items(m.pop_mark()),
  **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
  **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.get),
  "BUILD": lambda m, arg: m.build(),
  "GLOBAL": _Machine.symbol,
  "STACK_GLOBAL": lambda m, arg: m.symbol(*m.pop(2)),
  "BINPERSID": lambda m, arg: m.persistent(),
  "REDUCE": lambda m, arg: m.reduce(),
}  # fmt: skip


def _is_size(value: Any) -> bool:
  return type(value) is int and value >= 0


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
  require(
    isinstance(storage, Storage)
    and type(shape) is tuple
    and type(strides) is tuple
    and len(shape) == len(strides)
    and all(map(_is_size, (offset, *shape, *strides))),
    "a tensor of an unknown kind",
  )
  return Tensor(storage, offset, shape, strides)
