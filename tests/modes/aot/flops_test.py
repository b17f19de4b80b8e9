# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Counts against closed forms: 2 FLOPs for every multiply-add."""

import jax
import jax.numpy as jnp
import pytest

from threedim_jax.modes.aot.flops import count_flops


def shape(*dims):
  return jax.ShapeDtypeStruct(dims, jnp.float32)


def test_matrix_products():
  count = count_flops(jnp.matmul, shape(3, 5), shape(5, 7))
  assert count == 2 * 3 * 5 * 7
  attention = lambda q, k: jnp.einsum("bnqd,bnkd->bnqk", q, k)
  count = count_flops(attention, shape(2, 4, 6, 8), shape(2, 4, 9, 8))
  assert count == 2 * (2 * 4) * 6 * 9 * 8
  assert count_flops(jnp.tanh, shape(3, 5)) == 0


def test_gradient_of_a_matrix_product():
  """Two more products, unless nobody asks for the second one."""
  loss = lambda w, x: jnp.sum(jnp.sin(x @ w))
  once, args = 2 * 3 * 5 * 7, (shape(5, 7), shape(3, 5))
  assert count_flops(jax.grad(loss), *args) == 2 * once
  assert count_flops(jax.grad(loss, argnums=(0, 1)), *args) == 3 * once


def conv(x, kernel, stride=1, **kwargs):
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    "SAME",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    **kwargs,
  )


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_convolutions_and_their_gradients(stride):
  """Each of the three passes meets the same (output, tap, channel) pairs."""
  x, kernel = shape(2, 8, 8, 3), shape(3, 3, 3, 5)
  once = 2 * (2 * (8 // stride) ** 2 * 5) * (3 * 3 * 3)
  fn = lambda x, kernel: conv(x, kernel, stride)
  assert count_flops(fn, x, kernel) == once
  loss = lambda x, kernel: jnp.sum(jnp.sin(fn(x, kernel)))
  assert count_flops(jax.grad(loss, argnums=1), x, kernel) == 2 * once
  assert count_flops(jax.grad(loss, argnums=(0, 1)), x, kernel) == 3 * once


def test_grouped_convolution():
  fn = lambda x, kernel: conv(x, kernel, feature_group_count=4)
  count = count_flops(fn, shape(1, 8, 8, 8), shape(3, 3, 2, 12))
  assert count == 2 * (8 * 8 * 12) * (3 * 3 * 2)


def test_what_is_inside():
  """Functions of functions: scans multiply, the dearest branch counts."""
  once, w, x = 2 * 4 * 8 * 8, shape(8, 8), shape(4, 8)
  step = lambda w: lambda x, _: (jnp.tanh(x @ w), None)
  scan = lambda w, x: jax.lax.scan(step(w), x, None, length=10)[0]
  assert count_flops(scan, w, x) == 10 * once
  nested = jax.jit(lambda w, x: jax.jit(jnp.matmul)(x, w) @ w)
  assert count_flops(nested, w, x) == 2 * once
  twice = lambda w, x: jax.lax.scan(
    lambda x, _: (scan(w, x), None), x, None, length=3
  )[0]
  assert count_flops(twice, w, x) == 30 * once
  batched = jax.vmap(nested, in_axes=(None, 0))
  assert count_flops(batched, w, shape(5, 4, 8)) == 5 * 2 * once
  branches = lambda p, w, x: jax.lax.cond(
    p, lambda x: x @ w, lambda x: x @ w @ w, x
  )
  flag = jax.ShapeDtypeStruct((), bool)
  assert count_flops(branches, flag, w, x) == 2 * once


def test_recomputed_work_counts_again():
  w, x = shape(8, 8), shape(4, 8)
  loss = lambda w, x: jnp.sum(jnp.sin(jnp.sin(x @ w) @ w))
  once = 2 * 4 * 8 * 8
  assert count_flops(jax.grad(loss), w, x) == 5 * once
  again = jax.grad(jax.checkpoint(loss))
  assert count_flops(again, w, x) == (5 + 2) * once
