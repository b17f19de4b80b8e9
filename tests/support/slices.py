# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""TPU slices for tests; the tests are skipped loudly without the compiler."""

import importlib.util
import warnings

import jax
from jax.sharding import SingleDeviceSharding
import pytest


def get(name: str):
  """`get_topology`, or a skip that shows up in the summary of warnings."""
  from threedim_jax.modes.aot.topologies import get_topology

  if importlib.util.find_spec("libtpu") is None:
    reason = "libtpu is not installed: what the TPU compiler says is untested"
    warnings.warn(reason, stacklevel=2)
    pytest.skip(reason)
  return get_topology(name)


def on_one_device(topology, shape, dtype) -> jax.ShapeDtypeStruct:
  """An array on the first device of a slice."""
  sharding = SingleDeviceSharding(topology.devices[0])
  return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)
