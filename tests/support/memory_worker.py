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
from threedim_jax.models import make_init_fn
from threedim_jax.modes.dry_run import training_cost
from threedim_jax.runtime import sharding
from threedim_jax.training.setup import make_loss_fn, make_tx
from threedim_jax.training.train_state import create_train_state
from threedim_jax.training.train_step import make_train_step
from threedim_jax.views.pair_batch import batch_shapes

# XLA:CPU runs what it can at the same time, unless it is told to save memory.
XLA_FLAGS = (
  "--xla_force_host_platform_device_count=4"
  " --xla_backend_optimization_level=0"
  " --xla_cpu_enable_concurrency_optimized_scheduler=false"
)


def compile_step(config, mesh, parts: int):
  tx, init_fn = make_tx(config), make_init_fn(config)
  rng = jax.random.key(0)
  shapes = jax.eval_shape(lambda k: create_train_state(init_fn, tx, k), rng)
  shardings = sharding.state_sharding(mesh, shapes)
  batch = batch_shapes(config.data.resolution, config.train.batch_size)
  with jax.set_mesh(mesh):
    step = make_train_step(make_loss_fn(config), tx, 0.9, parts)
    jitted = sharding.jit_train_step(step, mesh, shardings)
    return jitted.lower(shapes, batch, rng).compile()


def row(remat: str, data: int, fsdp: int, parts: int) -> dict:
  config = srn_chairs.get_config("debug")
  config.model.remat = remat
  config.mesh.update(data=data, fsdp=fsdp)
  config.train.batch_size = 64 * parts
  config.train.per_device_batch_size = 16
  compiled = compile_step(config, sharding.make_mesh(data, fsdp), parts)
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
