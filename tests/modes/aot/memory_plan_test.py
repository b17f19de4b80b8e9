# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The memory of a program, before its code: read from the compiler's plan."""

import pathlib
import subprocess
import sys
import time

import pytest

from threedim_jax.modes.aot.memory_plan import planned_bytes
from threedim_jax.modes.aot.topologies import CHIPS

REPO = pathlib.Path(__file__).parents[3]
SCRIPT = """
import sys, time
import jax
jax.config.update("jax_platforms", "cpu")
import jax.numpy as jnp
from jax.sharding import SingleDeviceSharding
from threedim_jax.modes.aot.topologies import get_topology
size, seconds = map(int, sys.argv[1:])
(device,) = get_topology("v5e:1x1").devices
where = SingleDeviceSharding(device)
def product(x):
  return x @ x
try:
  x = jax.ShapeDtypeStruct((size, size), jnp.float32, sharding=where)
  jax.jit(product).lower(x).compile()
except jax.errors.JaxRuntimeError as e:
  assert "RESOURCE_EXHAUSTED" in str(e), e
time.sleep(seconds)
"""


@pytest.fixture
def product(monkeypatch):
  """Makes a command that compiles a product for a v5e, and then waits."""
  pytest.importorskip("libtpu", reason="pip install -e '.[aot]'")
  monkeypatch.setenv("PYTHONPATH", str(REPO))
  return lambda size, seconds: [
    *(sys.executable, "-c", SCRIPT, str(size), str(seconds))
  ]


def test_the_process_is_ended_when_the_memory_is_known(product):
  start = time.monotonic()
  size = planned_bytes(product(1024, 600), "jit_product")
  assert time.monotonic() - start < 300
  assert 2 * 2**22 <= size <= 2.5 * 2**22  # two arrays of 4 MiB


def test_what_does_not_fit_has_a_plan(product):
  size = planned_bytes(product(2**17, 0), "jit_product")
  assert size >= 2 * 4 * 2**34 > CHIPS["v5e"].gib * 2**30


def test_a_command_without_a_plan():
  assert planned_bytes([sys.executable, "-c", ""], "jit_product") is None
  with pytest.raises(subprocess.CalledProcessError):
    planned_bytes([sys.executable, "-c", "raise SystemExit(3)"], "jit_product")
