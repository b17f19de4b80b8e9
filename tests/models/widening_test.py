# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A network with more channels goes on where the narrow one was."""

import jax
import numpy as np
import pytest
from random_params import random_params

from threedim_jax.models.growth import grow

PATCHES = {"patch_size": 2, "detail_ch": 4}


def answer(model, params, inputs):
  apply = lambda params: model.apply({"params": params}, *inputs, train=False)
  return jax.jit(apply)(params)


def shapes(tree):
  return jax.tree.map(np.shape, tree)


def widened(narrow, factor: int, inputs):
  """(parameters of `narrow`, the wide network, its parameters)."""
  wide = narrow.clone(ch=factor * narrow.ch)
  params = random_params(narrow, 0, *inputs, train=False)
  target = random_params(wide, 1, *inputs, train=False)
  grown = grow(params, target, lambda: target)
  assert shapes(grown) == shapes(target)
  return params, wide, grown


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("fields", [{}, PATCHES], ids=["pixels", "patches"])
def test_the_wide_network_gives_the_same_answer(tiny_xunet, fields, factor):
  """Attention, FiLM, shortcuts and skips included: all are in the network."""
  narrow, inputs = tiny_xunet.model.clone(**fields), tiny_xunet.inputs
  params, wide, grown = widened(narrow, factor, inputs)
  expected = answer(narrow, params, inputs)
  assert np.std(expected) > 0.1
  np.testing.assert_allclose(answer(wide, grown, inputs), expected, atol=1e-4)


def test_copies_of_a_channel_get_different_gradients(tiny_xunet):
  _, wide, grown = widened(tiny_xunet.model, 2, tiny_xunet.inputs)
  loss = lambda params: (answer(wide, params, tiny_xunet.inputs) ** 2).mean()
  gradient = jax.jit(jax.grad(loss))(grown)["Conv_0"]["kernel"]
  first, second = gradient[..., 0::2], gradient[..., 1::2]
  assert np.abs(first - second).mean() > 0.05 * np.abs(first).mean()


@pytest.mark.parametrize(
  "fields",
  [{"emb_ch": 16}, {"patch_size": 4}, {"attn_heads": 1}],
  ids=str,
)
def test_what_cannot_be_widened_keeps_another_shape(tiny_xunet, fields):
  """The caller then refuses it."""
  narrow = tiny_xunet.model.clone(**PATCHES)
  wide = narrow.clone(ch=2 * narrow.ch)
  narrow, wide, other = (
    jax.eval_shape(
      lambda key, model=model: model.init(key, *tiny_xunet.inputs, train=False),
      jax.random.key(0),
    )["params"]
    for model in (narrow, wide, wide.clone(**fields))
  )
  params = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), narrow)
  grow_to = lambda target: shapes(grow(params, target, lambda: target))
  assert grow_to(wide) == shapes(wide)
  assert grow_to(other) != shapes(other)
