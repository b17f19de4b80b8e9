# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which part of which array goes to which of four devices."""

import jax
from jax.sharding import PartitionSpec as P
import numpy as np
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.sharding import (
  MIN_SIZE_TO_SHARD,
  make_mesh,
  state_sharding,
)
from threedim_jax.training.setup import make_setup


@pytest.fixture(autouse=True)
def four_devices():
  if jax.device_count() != 4:
    pytest.skip("written for four devices")


@pytest.mark.parametrize(
  "data, fsdp", [(1, 1), (2, 4), (-1, 3), (-1, 8), (-1, 0)]
)
def test_mesh_that_does_not_cover_the_devices(data, fsdp):
  with pytest.raises(UserError, match="mesh.fsdp .* 4 devices"):
    make_mesh(data, fsdp)


@pytest.mark.parametrize(
  "shape, expected",
  [
    ((3, 3, 64, 128), P(None, None, None, "fsdp")),  # the largest axis
    ((3, 3, 256, 128), P(None, None, "fsdp")),
    ((1000, 129), P("fsdp")),
    ((1001, 128), P(None, "fsdp")),  # the largest one that divides
    ((1001, 1001), P()),  # none does
    ((MIN_SIZE_TO_SHARD,), P("fsdp")),
    ((MIN_SIZE_TO_SHARD - 4,), P()),  # too small to bother
    ((), P()),
  ],
)
def test_state_sharding_by_shape(shape, expected):
  mesh = make_mesh(1, 4)
  leaf = jax.ShapeDtypeStruct(shape, np.float32)
  assert state_sharding(mesh, {"x": leaf})["x"].spec == expected


def test_train_state_is_sharded_in_all_its_parts(debug_config):
  """Parameters, average and both of Adam's moments alike, step replicated."""
  setup = make_setup(debug_config, make_mesh(1, 4))
  shapes, shardings = setup.shapes, setup.shardings
  specs = lambda tree: [s.spec for s in jax.tree.leaves(tree)]
  params = specs(shardings.params)
  assert params.count(P()) < len(params), "something is sharded"
  assert specs(shardings.ema_params) == params
  adam = shardings.opt_state[0]
  assert specs(adam.mu) == specs(adam.nu) == params
  assert shardings.step.spec == adam.count.spec == P()
  # A quarter of the memory, but for the arrays that are too small.
  size = lambda x, s: np.prod(s.shard_shape(x.shape))
  total = sum(x.size for x in jax.tree.leaves(shapes.params))
  shard = sum(
    jax.tree.leaves(jax.tree.map(size, shapes.params, shardings.params))
  )
  assert shard < 0.5 * total
