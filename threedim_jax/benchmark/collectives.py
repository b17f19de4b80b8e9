# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What devices send each other: counted in a compiled program, and on paper.

  collective_bytes(compiled.as_text())  # {"all-reduce": 5238412, ...}
  python -m threedim_jax.main --dry_run --devices=32 --config=...  # on paper

Bytes are those of the results on one device. What a link carries is about
twice that for a ring all-reduce, and once for the others.
"""

from collections.abc import Iterator
import math
import re

import jax
from jaxtyping import PyTree

KINDS = (
  "all-reduce",
  "all-gather",
  "reduce-scatter",
  "all-to-all",
  "collective-permute",
)
_BITS = {"pred": 8, "c64": 64, "c128": 128}  # others end in their bits

# %name = TYPE KIND(operands), TYPE an array or a tuple of them.
_LINE = re.compile(
  rf"^\s*(?:ROOT )?%?[\w.-]+ = (?P<type>.*?) (?P<kind>{'|'.join(KINDS)})"
  r"(?P<start>-start)?\("
)
_ARRAY = re.compile(r"\b(pred|[a-z]+\d+)(?:[a-z]\w*)?\[([\d,]*)\]")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.-]+) .*\{$")
_WHILE = re.compile(r" while\(.*body=%?([\w.-]+)")
_TRIPS = re.compile(r'known_trip_count":\{"n":"(\d+)"')


def collective_bytes(hlo: str) -> dict[str, int]:
  """Bytes by kind of collective, per run of the program and device.

  Args:
    hlo: text of a compiled program. Loops count as often as they run, if XLA
      knows how often that is, else once.
  """
  total = dict.fromkeys(KINDS, 0)
  for kind, size, times in _collectives(hlo):
    total[kind] += size * times
  return total


def _collectives(hlo: str) -> Iterator[tuple[str, int, int]]:
  """(kind, bytes of the result, runs) of every collective."""
  inside, parent, found = "", {}, []
  for line in hlo.splitlines():
    if match := _COMPUTATION.match(line):
      inside = match[1]
    elif match := _LINE.match(line):
      sizes = [_size(*m) for m in _ARRAY.findall(match["type"])]
      # The result of a -start: operands, then results.
      if match["start"] and match["kind"] != "all-reduce":
        sizes = sizes[len(sizes) // 2 :]
      found.append((match["kind"], sum(sizes), inside))
    elif match := _WHILE.search(line):
      trips = _TRIPS.search(line)
      parent[match[1]] = inside, int(trips[1]) if trips else 1
  for kind, size, computation in found:
    times = 1
    while computation in parent:
      computation, trips = parent[computation]
      times *= trips
    yield kind, size, times


def _size(dtype: str, shape: str) -> int:
  digits = re.search(r"\d+", dtype)
  bits = _BITS.get(dtype) or int(digits[0])
  return math.prod(int(n) for n in shape.split(",") if n) * bits // 8


def expected_bytes(
  params: PyTree, shardings: PyTree, parts: int = 1
) -> dict[str, int]:
  """The same on paper: what a training step has to send, per device.

  Gradients are summed over all devices: one all-reduce of those that are
  replicated, one reduce-scatter over 'fsdp' and an all-reduce over 'data' of
  those that are split. Split parameters are gathered twice, for the forward
  and for the backward pass. All of it for every one of `parts` micro-batches.

  XLA:CPU has no reduce-scatter: there it is an all-reduce of the whole.
  """
  total = dict.fromkeys(KINDS, 0)
  leaves = zip(jax.tree.leaves(params), jax.tree.leaves(shardings), strict=True)
  for x, sharding in leaves:
    whole = x.size * x.dtype.itemsize
    part = math.prod(sharding.shard_shape(x.shape)) * x.dtype.itemsize
    num_devices, data = sharding.mesh.size, sharding.mesh.shape["data"]
    if sharding.is_fully_replicated:
      total["all-reduce"] += parts * whole * (num_devices > 1)
    else:
      total["all-gather"] += 2 * parts * whole
      total["reduce-scatter"] += parts * part
      total["all-reduce"] += parts * part * (data > 1)
  return total
