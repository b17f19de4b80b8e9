# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Memory and traffic on paper, against hand counts and compiled programs."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from threedim_jax.benchmark.collectives import collective_bytes, expected_bytes
from threedim_jax.benchmark.live_bytes import peak_bytes
from threedim_jax.modes.dry_run import (
  GIB,
  collectives_on_paper,
  hint,
  training_cost,
)
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.sharding import make_mesh_on_paper, state_sharding

REPO = pathlib.Path(__file__).parents[2]
SQUARE = jax.ShapeDtypeStruct((100, 100), jnp.float32)
ONE = 4 * 100 * 100  # bytes of it


def peak(fn, *args) -> int:
  return peak_bytes(jax.make_jaxpr(fn)(*args))


def test_a_value_is_counted_until_its_last_use():
  def chain(x):
    a = x @ x
    b = a @ x  # a and b
    return b @ x  # b and the result: a is gone

  def held(x):
    a = x @ x
    b = a @ x
    return (b @ x) @ a  # a, b and b @ x

  assert peak(chain, SQUARE) == 2 * ONE
  assert peak(held, SQUARE) == 3 * ONE
  assert peak(jax.jit(chain), SQUARE) == 2 * ONE  # calls are seen through


def test_element_by_element_work_is_fused_unless_a_product_reads_it():
  assert peak(lambda x: jnp.sum(2 * x + 1), SQUARE) == 4
  assert peak(lambda x: jnp.sum((2 * x + 1) @ x), SQUARE) == 2 * ONE


def test_recomputing_takes_less():
  def layer(x):
    for _ in range(3):
      x = jnp.tanh(x @ x)
    return x

  def loss(layer):
    return jax.grad(lambda x: jnp.sum(layer(layer(layer(x)))))

  kept = peak(loss(layer), SQUARE)
  again = peak(loss(jax.checkpoint(layer)), SQUARE)
  assert again < 0.8 * kept


HLO = """HloModule jit_step

%body (p: f32[4]) -> f32[4] {
  %all-reduce.9 = f32[10,2]{1,0} all-reduce(%x), to_apply=%add
}

ENTRY %main (a: f32[4]) -> f32[4] {
  %while.1 = (s32[], f32[4]{0}) while(%t), condition=%c, body=%body, \
backend_config={"known_trip_count":{"n":"3"}}
  %all-reduce.1 = (f32[8]{0}, bf16[4,4]{1,0}) all-reduce(%a, %b), to_apply=%add
  %ag = (f32[2]{0}, f32[8]{0}) all-gather-start(%d), dimensions={0}
  %agd = f32[8]{0} all-gather-done(%ag)
  ROOT %p = u8[16]{0} collective-permute(%e), source_target_pairs={{0,1}}
  %gte = f32[8]{0} get-tuple-element(%all-reduce.1), index=0
}
"""


def test_bytes_in_a_program_by_hand():
  assert collective_bytes(HLO) == {
    "all-reduce": 3 * 80 + 32 + 32,
    "all-gather": 32,
    "reduce-scatter": 0,
    "all-to-all": 0,
    "collective-permute": 16,
  }


def test_bytes_on_paper_by_hand():
  params = {"big": jax.ShapeDtypeStruct((400, 100), jnp.float32)}

  def sent(data, fsdp, parts=1):
    mesh = make_mesh_on_paper(data, fsdp, data * fsdp)
    total = expected_bytes(params, state_sharding(mesh, params), parts)
    return {kind: size for kind, size in total.items() if size}

  big = 4 * 400 * 100
  assert sent(1, 1) == {}
  assert sent(4, 1) == {"all-reduce": big}
  assert sent(4, 1, parts=2) == {"all-reduce": 2 * big}
  assert sent(1, 4) == {"all-gather": 2 * big, "reduce-scatter": big // 4}
  assert sent(2, 4)["all-reduce"] == big // 4


def test_a_mesh_that_is_not_here(debug_config):
  debug_config.train.batch_size = 64
  debug_config.mesh.fsdp = 8
  cost = training_cost(debug_config, 32)
  assert cost.mesh == (4, 8) and cost.per_device == 2
  one = debug_config.copy_and_resolve_references()
  one.mesh.fsdp = 1
  alone = training_cost(one, 32)
  assert cost.memory["parameters"] < alone.memory["parameters"] / 2
  assert len(collectives_on_paper(debug_config).splitlines()) == 10
  debug_config.mesh.fsdp = 3
  with pytest.raises(UserError, match="32 devices"):
    training_cost(debug_config, 32)


def test_hint(debug_config):
  cost = training_cost(debug_config, 1)
  assert hint(cost, None) is None and hint(cost, 100 * GIB) is None
  assert "mesh.fsdp" in hint(cost, 1000)
  cost.memory["activations (estimate)"] = 100 * GIB
  assert "model.remat" in hint(cost, 50 * GIB)


# Of temporary memory, estimate / compiled. It was 0.97 (none), 0.85 (dots) and
# 0.67 (full): XLA:CPU copies what it transposes, which the estimate leaves out.
LOWEST, HIGHEST = 0.6, 1.15


@pytest.mark.slow
def test_memory_and_traffic_of_compiled_programs():
  """Every kind of recomputation and of mesh, in one case each."""
  done = subprocess.run(
    [
      sys.executable, REPO / "tests/support/memory_worker.py",
      "none,2,2,1", "dots,4,1,1", "full,1,4,1",
    ],
    env={
      **os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(REPO),
      "JAX_NUMPY_RANK_PROMOTION": "raise",
    },
    capture_output=True, text=True, timeout=500,
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  rows = [json.loads(s) for s in done.stdout.splitlines()]
  assert len(rows) == 3
  for row in rows:
    _, _, fsdp, _ = row["case"]
    expected = dict(row["expected"])
    temporary = sum(
      expected.pop(k) for k in ("gradients", "activations (estimate)")
    )
    # Arguments also hold the batch and the step.
    batch = row["arguments"] - sum(expected.values())
    assert 0 <= batch < 0.2 * row["arguments"], row
    assert LOWEST < temporary / row["temporary"] < HIGHEST, row
    got, paper = row["collectives"], row["expected_collectives"]
    # XLA:CPU sums whole gradients where others reduce and scatter.
    summed = paper["all-reduce"] + fsdp * paper["reduce-scatter"]
    assert got["all-reduce"] == pytest.approx(summed, rel=0.03), row
    assert got["all-gather"] == pytest.approx(paper["all-gather"], rel=0.25)
    assert got["all-to-all"] == got["collective-permute"] == 0, row
