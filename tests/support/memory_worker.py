# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A process that dry_run_test.py starts: compiles, and tells what XLA says.

python memory_worker.py REMAT,DATA,FSDP,PARTS...   four devices; a JSON row each
"""

import json
import os
import sys

import jax

from configs import srn_chairs
from threedim_jax.benchmark.collectives import collective_bytes
from threedim_jax.modes.dry_run import training_cost
from threedim_jax.runtime.sharding import make_mesh
from threedim_jax.training.setup import make_setup

# XLA:CPU runs what it can at the same time, unless it is told to save memory.
XLA_FLAGS = (
  "--xla_force_host_platform_device_count=4"
  " --xla_backend_optimization_level=0"
  " --xla_cpu_enable_concurrency_optimized_scheduler=false"
)


def compile_step(config, mesh):
  setup = make_setup(config, mesh)
  with jax.set_mesh(mesh):
    return setup.train_step.lower(
      setup.shapes, setup.batch, jax.random.key(0)
    ).compile()


def row(remat: str, data: int, fsdp: int, parts: int) -> dict:
  config = srn_chairs.get_config("debug")
  config.model.remat = remat
  config.mesh.update(data=data, fsdp=fsdp)
  config.train.batch_size = 64 * parts
  config.train.per_device_batch_size = 16
  compiled = compile_step(config, make_mesh(data, fsdp))
  memory = compiled.memory_analysis()
  cost = training_cost(config, 4)
  return {
    "case": [remat, data, fsdp, parts],
    "arguments": memory.argument_size_in_bytes,
    "temporary": memory.temp_size_in_bytes,
    "expected": cost.memory,
    "collectives": collective_bytes(compiled.as_text()),
    "expected_collectives": cost.collectives,
  }


if __name__ == "__main__":
  os.environ["XLA_FLAGS"] = XLA_FLAGS
  for case in sys.argv[1:]:
    remat, *numbers = case.split(",")
    print(json.dumps(row(remat, *map(int, numbers))), flush=True)
