# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How much memory a function needs at its fullest, read from its jaxpr.

  peak_bytes(jax.make_jaxpr(fn)(*shapes))  # arguments are not counted

Nothing is compiled, so a model for 32 chips can be asked about on a laptop.
The program runs in the order in which it is written, forward and then backward;
a value takes memory from where it is made to where it is last read. Element by
element work is fused into its readers, as XLA does, and takes none, unless a
matrix product or convolution reads it. What `jax.checkpoint` computes again
starts from values that were kept.
"""

import collections
import math
from typing import NamedTuple

from jax.extend.core import Var

from threedim_jax.aot.flops import inner_jaxprs

# These read whole arrays from memory; any other operation fuses its inputs.
_PRODUCTS = {"dot_general", "conv_general_dilated"}
_REDUCTIONS = {
  "argmax",
  "argmin",
  "cumsum",
  "reduce_and",
  "reduce_max",
  "reduce_min",
  "reduce_or",
  "reduce_prod",
  "reduce_sum",
}
# Computed once rather than in each reader, if there are several.
_EXPENSIVE = {"cos", "erf", "exp", "log", "logistic", "pow", "sin", "tanh"}
_WHOLE = _PRODUCTS | _REDUCTIONS | {"gather", "scatter", "scatter-add", "sort"}
_LOOPS = {"scan", "while", "cond"}


class _Op(NamedTuple):
  name: str
  inputs: list[int]
  outputs: list[int]
  inner_bytes: int  # at the fullest, inside a loop


class _Program:
  """A jaxpr without calls: operations on numbered values."""

  def __init__(self):
    self.ops: list[_Op] = []
    self.size: dict[int, int] = {}  # bytes by value
    self.kept: set[int] = set()  # what a recomputation starts from

  def _new(self, aval) -> int:
    index = len(self.size)
    # Keys of the random number generator have no bytes to speak of.
    itemsize = getattr(aval.dtype, "itemsize", 8)
    self.size[index] = math.prod(aval.shape) * itemsize
    return index

  def add(self, jaxpr, inputs: list[int] | None = None) -> list[int]:
    """Appends the operations of `jaxpr`; returns its results."""
    names = {}
    for v in jaxpr.constvars:
      names[v] = self._new(v.aval)
    inputs = inputs or [self._new(v.aval) for v in jaxpr.invars]
    names.update(zip(jaxpr.invars, inputs, strict=True))

    def read(v) -> int:
      return names[v] if isinstance(v, Var) else self._new(v.aval)

    for eqn in jaxpr.eqns:
      args = [read(v) for v in eqn.invars]
      name = eqn.primitive.name
      inner = list(inner_jaxprs(eqn.params))
      if inner and name not in _LOOPS:
        # A call: its first jaxpr is what is computed.
        if name in ("checkpoint", "remat2", "remat"):
          self.kept.update(args)
        results = self.add(inner[0], args[-len(inner[0].invars) :])
      else:
        results = [self._new(v.aval) for v in eqn.outvars]
        bytes_inside = max(map(_peak, inner), default=0)
        self.ops.append(_Op(name, args, results, bytes_inside))
      names.update(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def peak_bytes(closed_jaxpr) -> int:
  """Most bytes alive at any time, arguments and constants not counted."""
  return _peak(closed_jaxpr.jaxpr)


def _peak(jaxpr) -> int:
  program = _Program()
  results = program.add(jaxpr)
  ops, size = program.ops, program.size
  made = {out: op for op in ops for out in op.outputs}
  reads = collections.Counter(v for op in ops for v in op.inputs)
  stored = {v for v in (*results, *program.kept) if v in made}
  for op in ops:
    if op.name in _WHOLE | _LOOPS:
      stored.update(op.outputs)
    if op.name in _EXPENSIVE:
      stored.update(v for v in op.outputs if reads[v] > 1)
    if op.name in _PRODUCTS | _LOOPS:
      stored.update(v for v in op.inputs if v in made)

  # What an operation really reads: the stored values behind fused ones.
  behind: dict[int, frozenset[int]] = {}
  last_use: dict[int, int] = {}
  for time, op in enumerate(ops):
    sources = frozenset().union(
      *({v} if v in stored else behind.get(v, frozenset()) for v in op.inputs)
    )
    for out in op.outputs:
      behind[out] = sources
    if not stored.isdisjoint(op.outputs):
      for v in sources:
        last_use[v] = time
  for v in results:
    last_use[v] = len(ops)

  ends: dict[int, list[int]] = {}
  for v, time in last_use.items():
    ends.setdefault(time, []).append(v)
  alive = peak = 0
  for time, op in enumerate(ops):
    new = [v for v in op.outputs if v in stored]
    alive += sum(size[v] for v in new)
    peak = max(peak, alive + op.inner_bytes)
    alive -= sum(size[v] for v in ends.get(time, ()) if v in stored)
    alive -= sum(size[v] for v in new if v not in last_use)
  return peak
