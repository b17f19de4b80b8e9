# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--dry_run` without a compiler: only what is exact."""

import re

import jax
import pytest

from threedim_jax.modes.dry_run import GIB, describe_state
from threedim_jax.runtime.errors import UserError


def test_a_mesh_that_is_not_here(debug_config):
  """Parameters, average and two moments, split over fsdp."""
  debug_config.train.batch_size = 64
  debug_config.mesh.fsdp = 8
  text = describe_state(debug_config, 32)
  assert "mesh data x fsdp: (4, 8)" in text
  assert "batch: 64 = 1 x 32 devices x 2" in text
  assert "activations" not in text

  def gib(text):
    return [float(x) for x in re.findall(r"([\d.]+) GiB", text)]

  debug_config.model.ch = 256  # sizes that show at three decimals
  split = gib(describe_state(debug_config, 32))
  debug_config.mesh.fsdp = 1
  text = describe_state(debug_config, 32)
  params, average, moments = gib(text)
  total = int(re.search(r"Total: ([\d,]+)", text)[1].replace(",", ""))
  assert params == average == pytest.approx(4 * total / GIB, abs=1e-3)
  assert moments == pytest.approx(2 * params, abs=2e-3)
  assert split[2] == pytest.approx(moments / 8, rel=0.1, abs=1e-3)
  debug_config.mesh.fsdp = 3
  with pytest.raises(UserError, match="32 devices"):
    describe_state(debug_config, 32)


def test_the_command(run_main):
  code, out, _ = run_main("--dry_run")
  assert code == 0 and "FLOPs per training step" in out
  assert f"devices: {jax.device_count()}" in out
  _, out, _ = run_main("--dry_run", config="configs/quickstart.py")
  assert "1,936,658" in out
