# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A process that scale_test.py starts: trains a small network on some mesh.

python scale_worker.py OUT STEPS FOLDER|- DATAxFSDP...

Devices come from XLA_FLAGS, other processes from the environment. Resumes from
FOLDER and saves to it; writes losses and the state to OUT_DATAxFSDP.npz.
"""

import sys

import jax

from threedim_jax.runtime import processes

if __name__ == "__main__":
  print(processes.maybe_initialize(), flush=True)

from jax.experimental import multihost_utils  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from small_training import small_network  # noqa: E402

from threedim_jax.runtime import sharding  # noqa: E402
from threedim_jax.training.train_step import (
  create_train_state,  # noqa: E402
  jit_train_step,
  make_train_step,  # noqa: E402
)
from threedim_jax.workdir.checkpoints.checkpointer import Checkpointer  # noqa: E402

BATCH_SIZE = 8
# Not Adam: it turns the rounding of a tiny gradient into a full step.
TX = optax.sgd(0.1, momentum=0.9)


def train(mesh, num_steps: int, folder: str | None):
  """(losses by step, the whole state at the end) of what this run did."""
  loss_fn, params, batch = small_network(BATCH_SIZE, attn_resolutions=())
  params, batch = jax.device_get((params, batch))
  rng = jax.random.key(0)
  create = lambda: create_train_state(jax.tree.map(jnp.asarray, params), TX)
  shapes = jax.eval_shape(create)
  shardings = sharding.state_sharding(mesh, shapes)
  rep = sharding.replicated(mesh)
  step_fn = jit_train_step(
    make_train_step(loss_fn, TX, ema_decay=0.9), mesh, shardings
  )
  size = BATCH_SIZE // jax.process_count()
  mine = slice(jax.process_index() * size, (jax.process_index() + 1) * size)
  batch = sharding.put_batch(jax.tree.map(lambda x: x[mine], batch), mesh)
  losses = {}
  with jax.set_mesh(mesh):
    state, start = jax.jit(create, out_shardings=shardings)(), 0
    if folder:
      checkpointer = Checkpointer(folder)
      if checkpointer.latest_step() is not None:
        state, start, _ = checkpointer.restore(state)
    for step in range(start + 1, num_steps + 1):
      state, metrics = step_fn(state, batch, rng)
      losses[step] = float(metrics["loss"])
    if folder:
      checkpointer.save(num_steps, state, config={})
      checkpointer.close()
    whole = jax.jit(lambda x: x, out_shardings=rep)(state)
  return losses, jax.device_get(whole)


def main(out: str, num_steps: str, folder: str, *meshes: str) -> None:
  for name in meshes:
    mesh = sharding.make_mesh(*map(int, name.split("x")))
    losses, state = train(
      mesh, int(num_steps), None if folder == "-" else folder
    )
    if jax.process_index() == 0:
      arrays = {str(i): x for i, x in enumerate(jax.tree.leaves(state))}
      np.savez(
        f"{out}_{name}.npz",
        steps=list(losses),
        losses=list(losses.values()),
        **arrays,
      )
  multihost_utils.sync_global_devices("done")


if __name__ == "__main__":
  main(*sys.argv[1:])
