# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The profile reader: on HLO that is counted by hand, and on real programs."""

import jax
import jax.numpy as jnp
import pytest
import slices

from threedim_jax.modes.aot.profile import Cost, read_profile

HLO = """HloModule jit_step, is_scheduled=true

%fused.1 (p: bf16[8,8]) -> bf16[8,8] {
  %p = bf16[8,8]{1,0} parameter(0)
  ROOT %c = bf16[8,8]{1,0} convolution(%p, %p), dim_labels=bf_io->bf, \
metadata={op_name="jit(step)/jvp(XUNet)/XUNetBlock_3/ResnetBlock_0/FiLM_0/\
Dense_0/dot_general"}
}

%inner (t: (s32[], f32[4])) -> (s32[], f32[4]) {
  %copy.2 = f32[4]{0} copy(%x), backend_config={"estimated_cycles":"5"}
  ROOT %t.2 = (s32[], f32[4]{0}) tuple(%i, %copy.2)
}

%inner_cond (t: (s32[], f32[4])) -> pred[] {
  %limit = s32[]{:T(128)} constant(4)
  ROOT %lt = pred[] compare(%i, %limit), direction=LT
}

%outer (t: (s32[], f32[4])) -> (s32[], f32[4]) {
  %add.1 = f32[4]{0} add(%x, %x), \
metadata={op_name="jit(step)/GroupNorm_1/add"}, \
backend_config={"estimated_cycles":"7"}
  %while.2 = (s32[], f32[4]{0}) while(%t), condition=%inner_cond, body=%inner
  %all-reduce.9 = f32[10,2]{1,0} all-reduce(%x), to_apply=%sum
  ROOT %t.1 = (s32[], f32[4]{0}) tuple(%i, %y)
}

%outer_cond (t: (s32[], f32[4])) -> pred[] {
  ROOT %lt = pred[] compare(%i, %n), direction=LT
}

%cheap (x: f32[4]) -> f32[4] {
  ROOT %m = f32[4]{0} multiply(%x, %x), backend_config={"estimated_cycles":"1"}
}

%dear (x: f32[4]) -> f32[4] {
  ROOT %m = f32[4]{0} multiply(%x, %x), backend_config={"estimated_cycles":"90"}
}

ENTRY %main (a: f32[4]) -> f32[4] {
  %ag = (bf16[2]{0}, bf16[8]{0}) all-gather-start(%d), dimensions={0}
  %fusion.1 = bf16[8,8]{1,0:T(8,128)(2,1)} fusion(%a), kind=kOutput, \
calls=%fused.1, metadata={op_name="jit(step)/jvp(XUNet)/XUNetBlock_3/\
ResnetBlock_0/FiLM_0/mul"}, backend_config={"estimated_cycles":"100"}
  %agd = bf16[8]{0} all-gather-done(%ag)
  %while.1 = (s32[], f32[4]{0}) while(%t), condition=%outer_cond, body=%outer\
KNOWN
  %cond.1 = f32[4]{0} conditional(%p, %a, %a), \
branch_computations={%dear, %cheap}
  ROOT %perm = u8[16]{0} collective-permute(%e), source_target_pairs={{0,1}}
}
"""
KNOWN = ', backend_config={"known_trip_count":{"n":"3"}}'


@pytest.mark.parametrize(
  "text, while_trips, runs, unknown",
  [(KNOWN, 1, 3, []), ("", 1, 1, ["while.1"]), ("", 256, 256, ["while.1"])],
)
def test_cycles_and_bytes_by_hand(text, while_trips, runs, unknown):
  """A loop in a loop: the outer one's length is told, or given."""
  profile = read_profile(HLO.replace("KNOWN", text), while_trips)
  assert profile.unknown_loops == unknown
  assert profile.cycles == 100 + runs * (7 + 4 * 5) + 90
  assert profile.by("kind") == {
    "product": 100,
    "copy": runs * 4 * 5,
    "norm": runs * 7,
    "elementwise": 90,
  } and list(profile.by("kind").values()) == sorted(
    profile.by("kind").values(), reverse=True
  )
  assert profile.by("module")["ResnetBlock/FiLM"] == 100
  assert profile.by("module")["GroupNorm"] == runs * 7
  copy = next(c for c in profile.costs if c.kind == "copy")
  assert copy.times == runs * 4
  assert profile.bytes_by_collective() == {
    "all-gather": 16,
    "all-reduce": runs * 80,
    "collective-permute": 16,
  }
  # Only the first of them is beside computation.
  hidden = [c.hidden_cycles for c in profile.collectives]
  assert hidden == [100, None, None]
  assert [c.cycles for c in profile.hottest(2)] == sorted(
    (c.cycles for c in profile.costs), reverse=True
  )[:2]


@pytest.mark.parametrize(
  "op_name, module",
  [
    ("jit(f)/XUNet/XUNetBlock_3/ResnetBlock_0/Conv_1/add", "ResnetBlock/Conv"),
    ("jit(f)/transpose(jvp(XUNet))/Conv_0/reduce_sum", "Conv"),
    ("jit(f)/while/body/closed_call/dot_general", ""),
    ("", ""),
  ],
)  # fmt: skip
def test_modules_have_no_numbers(op_name, module):
  assert Cost("n", op_name, "copy", 1, 1).module == module


FUSED = """
%start (p: bf16[2]) -> (bf16[2], bf16[8]) {
  %all-gather.5 = bf16[8]{0} all-gather(%p), dimensions={0}
  ROOT %call = (bf16[2]{0}, bf16[8]{0}) custom-call(%all-gather.5), \
custom_call_target="AsyncCollectiveStart"
}

%async_collective_fusion.1 (p: bf16[2]) -> bf16[8] {
  ROOT %all-gather.6 = bf16[8]{0} all-gather(%p), dimensions={0}
}

%done (p: bf16[2]) -> bf16[8] {
  %all-gather.7 = bf16[8]{0} all-gather(%p), dimensions={0}
  ROOT %call.2 = bf16[8]{0} custom-call(%all-gather.7), \
custom_call_target="AsyncCollectiveDone"
}

%reduce (p: f32[8]) -> f32[2] {
  %all-reduce.1 = f32[8]{0} all-reduce(%p), to_apply=%sum
  ROOT %slice = f32[2]{0} dynamic-slice(%all-reduce.1, %i)
}

ENTRY %main (a: f32[4]) -> f32[4] {
  %async-collective-start.3 = (bf16[2]{0}, bf16[8]{0}) fusion(%a), calls=%start
  %fusion.1 = bf16[8]{0} fusion(%x), kind=kOutput, \
calls=%async_collective_fusion.1, backend_config={"estimated_cycles":"40"}
  %async-collective-done.3 = bf16[8]{0} fusion(%tuple-element), calls=%done
  ROOT %fusion.2 = f32[2]{0} fusion(%b), kind=kInput, calls=%reduce
}
"""


def test_collectives_in_fusions():
  """As libtpu compiles `mesh.fsdp`: gathers beside products, then a sum."""
  profile = read_profile(FUSED)
  assert [(c.kind, c.size, c.hidden_cycles) for c in profile.collectives] == [
    ("all-gather", 16, 40),
    ("all-reduce", 32, None),
  ]


def test_text_that_is_no_program():
  with pytest.raises(ValueError, match="ENTRY"):
    read_profile("HloModule nothing")


@pytest.mark.slow
def test_a_product_takes_what_the_matrix_units_need():
  """And a loop takes so many times its body."""
  topology = slices.get("v5e:2x2")
  x = slices.on_one_device(topology, (4096, 4096), jnp.bfloat16)
  product = jax.jit(jnp.matmul).lower(x, x).compile()
  profile = read_profile(product.as_text())
  least = 4096**3 / topology.chip.multipliers
  assert least < profile.cycles < 1.3 * least
  assert profile.by("kind")["product"] > 0.95 * profile.cycles

  def loop(x, w):
    step = lambda _, x: jnp.tanh(x @ w)
    return jax.lax.fori_loop(0, 7, step, x)

  looped = read_profile(jax.jit(loop).lower(x, x).compile().as_text())
  assert not looped.unknown_loops
  assert 0.9 * 7 * least < looped.by("kind")["product"] < 1.3 * 7 * least
