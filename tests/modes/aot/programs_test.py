# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is compiled for a slice is what trains; refusals are told as such."""

import json
import re

import jax
import jax.numpy as jnp
import pytest
import slices

from threedim_jax.modes.aot import programs
from threedim_jax.modes.aot.profile import Collective, Cost, Profile
from threedim_jax.modes.aot.report import describe, to_json
from threedim_jax.modes.aot.topologies import CHIPS, Topology, get_topology
from threedim_jax.modes.dry_run import bytes_per_device
from threedim_jax.runtime.errors import UserError
from threedim_jax.training.setup import make_setup

GIB = 2**30


@pytest.fixture
def small_config(debug_config):
  """One level, two of four devices share the parameters, bfloat16."""
  debug_config.data.resolution = 8
  debug_config.model.update(ch_mult=(1,), attn_resolutions=(), dtype="bfloat16")
  debug_config.mesh.fsdp = 2
  return debug_config


def made_up(**changes) -> programs.Compiled:
  """A train step of 16 examples on four v5p of 1.75 GHz: 0.2 s."""
  chip = CHIPS["v5p"]
  costs = [
    Cost("fusion.1", "jit(f)/Conv_0/conv", "convolution", 3, 1),
    Cost("copy.2", "", "copy", 1, 2),
  ]
  cycles = round(0.2 * chip.clock / 4)
  costs = [
    Cost(c.name, c.op_name, c.kind, c.cycles * cycles, c.times) for c in costs
  ]
  fields = {
    "name": "train step",
    "topology": Topology("v5p:2x2x1", chip, jax.devices()[:1] * 4),
    "mesh": (4, 1),
    "count": 16,
    "flops": round(0.1 * chip.peak),
    "compile_seconds": 61.0,
    "memory": dict.fromkeys(
      ("arguments", "temporaries", "aliased", "peak"), GIB
    ),
    "bytes_accessed": 5e9,
    "profile": Profile(costs, [Collective("all-reduce", 10**6, 7)], []),
  }
  return programs.Compiled(**fields | changes)


def test_rates_by_hand():
  result = to_json(made_up(), num_examples=80 * 24 * 3600)
  assert result == json.loads(json.dumps(result))
  assert result["fits"] and result["gib"]["peak"] == 1.0
  assert result["seconds"] == pytest.approx(0.2)
  assert result["per_second"] == pytest.approx(80)
  assert result["share_of_peak"] == pytest.approx(0.5)
  assert result["days"] == pytest.approx(1.0)
  assert result["collectives_beside_compute"] == 1
  text = describe(result)
  for words in (
    "1.00 GiB a device",
    "50.0% of the bfloat16 peak",
    "1.0 days",
    "75.0%  convolution",
    "all-reduce                 1.0 MB",
  ):
    assert words in text, text


def test_clocks_are_those_of_the_chips():
  published = {"v4": 1.05e9, "v5e": 1.5e9, "v5p": 1.75e9}
  for name, clock in published.items():
    assert CHIPS[name].clock == pytest.approx(clock, rel=0.01)


@pytest.mark.parametrize(
  "name, words",
  [
    ("h200", "for example v5e:4x4"),
    ("v5e:", "for example v5e:4x4"),
    ("v5e:3x3", "no such slice"),
    ("v5e:16x32", "1 to 256 chips"),
    ("v4:2x2", "3 dimensions"),
  ],
)
def test_a_slice_that_does_not_exist_is_a_sentence(name, words):
  slices.get("v5e:2x2")  # or skip
  with pytest.raises(UserError, match=words):
    get_topology(name)


def test_without_the_compiler_the_command_to_install_it(monkeypatch):
  from threedim_jax.modes.aot import topologies

  monkeypatch.setattr(topologies.importlib.util, "find_spec", lambda _: None)
  with pytest.raises(UserError, match=r"pip install 'threedim_jax\[aot\]'"):
    get_topology("v5e:4x4")


@pytest.mark.parametrize("name, devices", [("v5e:1x1", 1), ("v4:2x2x1", 4)])
def test_slices_have_a_device_a_chip(name, devices):
  topology = slices.get(name)
  assert len(topology.devices) == devices
  assert topology.make_mesh(-1, 1).size == devices


def compile_product(topology, size) -> programs.Compiled:
  x = slices.on_one_device(topology, (size, size), jnp.float32)
  lower = lambda: jax.jit(lambda x: x @ x).lower(x)
  return programs._compile("train step", topology, (1, 1), 1, 1, lower)


@pytest.mark.parametrize("generation", CHIPS)
def test_memory_is_that_of_the_chips(generation):
  chip = CHIPS[generation]
  shape = "x".join(["2", "2", "1"][: chip.dims])
  large = compile_product(slices.get(f"{generation}:{shape}"), 2**17)
  assert f"({chip.gib:.2f}G)" in large.refusal


def test_what_does_not_fit_is_told_in_one_line():
  topology = slices.get("v5e:2x2")
  large = compile_product(topology, 2**17)
  assert not large.fits and "15.75G" in large.refusal
  assert "\n" not in large.refusal
  result = to_json(large, num_examples=100)
  assert not result["fits"] and "gib" not in result
  assert "does not fit" in describe(result)


@pytest.mark.slow
def test_the_train_step_of_a_small_model(small_config):
  """Donation, shardings and dtypes, as the TPU compiler took them."""
  topology = slices.get("v5e:2x2")
  result = programs.compile_train_step(small_config, topology)
  assert result.fits and result.mesh == (2, 2)
  setup = make_setup(small_config, topology.make_mesh(-1, 2))
  # The state is updated in place. A chip pads small arrays: more, not less.
  state = bytes_per_device(setup.shapes, setup.shardings)
  assert state <= result.memory["aliased"] <= result.memory["arguments"]
  (state_sh, batch_sh, _), _ = result.executable.input_shardings
  for found, asked in zip(
    jax.tree.leaves(state_sh), jax.tree.leaves(setup.shardings), strict=True
  ):
    assert found.is_equivalent_to(asked, 4) or found == asked
  assert len(batch_sh.target_view.device_set) == 4
  assert batch_sh.target_view.shard_shape((4, 8, 8, 3)) == (1, 8, 8, 3)
  hlo = result.executable.as_text()
  assert "f64[" not in hlo
  # Blocks compute in bfloat16, whatever the dtype of their sums.
  convolutions = [
    line
    for line in hlo.splitlines()
    if " convolution(" in line and "ResnetBlock_0/Conv_" in line
  ]
  assert convolutions
  names = dict(re.findall(r"%?([\w.-]+) = (\w+)\[", hlo))
  for line in convolutions:
    operands = re.search(r" convolution\(([^)]*)\)", line)[1].split(", ")
    dtypes = {names.get(name.lstrip("%")) for name in operands}
    assert dtypes == {"bf16"}, line
  assert result.profile.bytes_by_collective()["all-gather"] > 0
  assert 0 < result.share_of_peak < 1
  keys = to_json(result, 1).keys()
  assert {"gib", "cycles", "seconds", "days", "hottest", "refusal"} - keys == {
    "refusal"
  }


@pytest.mark.slow
def test_dry_run_for_a_slice(run_main, tmp_path):
  """The command: two programs, printed and written."""
  slices.get("v5e:1x1")  # or skip
  code, out, err = run_main(
    "--dry_run",
    "--topology=v5e:1x1",
    f"--workdir={tmp_path}",
    "--config.data.resolution=8",
    "--config.model.ch_mult=(1,)",
    "--config.model.attn_resolutions=()",
  )
  assert code == 0, err
  assert "train step for v5e:1x1, 1 devices" in out
  assert "sampler for v5e:1x1" in out
  saved = json.loads((tmp_path / "dry_run_v5e_1x1.json").read_text())
  train, sampler = saved["programs"]
  assert train["fits"] and sampler["fits"] and "days" not in sampler
  assert sampler["loops_of_unknown_length"] == 1  # the sampler's own


@pytest.mark.slow
@pytest.mark.parametrize("name", ["v5e:2x2", "v5e:4x4"])  # one host, four
def test_devices_sample_their_own_objects(small_config, name):
  """Guidance makes two examples of an object. They stay on its device."""
  slices.get("v5e:2x2")  # or skip
  small_config.mesh.fsdp = 1
  small_config.sample.batch_size = 8
  result = programs.compile_sampler(small_config, get_topology(name))
  assert (result.topology.name, result.mesh) == (name, (4, 1))
  sent = result.profile.bytes_by_collective()
  assert "all-to-all" not in sent
  assert sum(sent.values()) < 5_000, sent  # random keys and bank slots
