# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Counts the FLOPs of a function's matrix products and convolutions.

XLA's own cost analysis counts the body of a scan only once. This module walks
through the jaxpr (the traced function) and multiplies the work inside a scan by
the length of the scan. Work that `jax.checkpoint` repeats is counted again. For
a `cond`, only the most expensive branch is counted.
"""

from collections.abc import Callable, Iterator
import math
from typing import Any

import jax


def count_flops(fn: Callable, *args, while_trips: int = 1) -> int:
  """Returns the FLOPs of `fn(*args)`, counting 2 for every multiply-add.

  Args:
    fn: any function that JAX can trace.
    *args: arguments of `fn`. Arrays may be given as `jax.ShapeDtypeStruct`.
    while_trips: number of iterations to assume for every `while` loop, because
      a jaxpr does not state the number.
  """
  return _count(jax.make_jaxpr(fn)(*args).jaxpr, while_trips)


def _count(jaxpr, while_trips: int) -> int:
  total = 0
  for eqn in jaxpr.eqns:
    name = eqn.primitive.name
    if name == "dot_general":
      (contract, _), _ = eqn.params["dimension_numbers"]
      lhs = eqn.invars[0].aval.shape
      depth = math.prod(lhs[i] for i in contract)
      total += 2 * math.prod(eqn.outvars[0].aval.shape) * depth
    elif name == "conv_general_dilated":
      total += _conv_flops(eqn)
    else:
      times = {"scan": eqn.params.get("length"), "while": while_trips}
      inner = [_count(j, while_trips) for j in inner_jaxprs(eqn.params)]
      flops = max(inner) if name == "cond" else sum(inner)
      total += times.get(name, 1) * flops
  return total


def _conv_flops(eqn) -> int:
  """Returns a convolution's FLOPs, without multiplications by inserted zeros.

  Zeros are inserted if the input is dilated, as in the gradient of a strided
  convolution.

  Args:
    eqn: an equation of a jaxpr, with the primitive `conv_general_dilated`.
  """
  spec = eqn.params["dimension_numbers"]
  lhs, rhs = (v.aval.shape for v in eqn.invars)
  out = eqn.outvars[0].aval.shape
  depth = rhs[spec.rhs_spec[1]]
  taps = math.prod(rhs[i] for i in spec.rhs_spec[2:])
  # Every output has a product for every tap of the kernel. If the input is
  # dilated, as in the gradient of a strided convolution, only one product in
  # `dilation` has an input value; the others have inserted zeros.
  dilation = math.prod(eqn.params["lhs_dilation"])
  return 2 * math.prod(out) * depth * taps // dilation


def inner_jaxprs(params: dict[str, Any]) -> Iterator[Any]:
  """Yields the jaxprs that a primitive contains, such as the body of a scan.

  `params` are the parameters of the primitive's equation.
  """
  for value in params.values():
    for item in value if isinstance(value, (tuple, list)) else (value,):
      if hasattr(item, "jaxpr"):  # ClosedJaxpr
        yield item.jaxpr
      elif hasattr(item, "eqns"):
        yield item
