# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""One of the two processes that checkpointer_test.py starts, and its states.

python checkpoint_worker.py DIRECTORY RANK PORT
"""

import functools
import sys

import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec
import numpy as np
import optax

from threedim_jax.training.train_step import TrainState
from threedim_jax.workdir.checkpoints import checksums
from threedim_jax.workdir.checkpoints.checkpointer import Checkpointer

CONFIG = {"optim": {"b1": 0.9}, "model": {"ch_mult": (1, 2)}}
TX = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))


@functools.cache
def _shapes(rows, dtype) -> TrainState:
  params = {
    "block": {
      "kernel": jax.ShapeDtypeStruct((rows, 16), dtype),
      "bias": jax.ShapeDtypeStruct((16,), jnp.float32),
    },
    "half": jax.ShapeDtypeStruct((4, 4), jnp.bfloat16),
  }
  opt_state = jax.eval_shape(TX.init, params)
  return TrainState(jnp.int32(0), params, params, opt_state)


def make_state(step, rows=8, dtype=jnp.float32) -> TrainState:
  """All arrays follow from `step`, so that a mixture of two steps is seen."""
  rng = np.random.default_rng(step)
  draw = lambda x: jnp.asarray(rng.normal(size=x.shape) * 100, x.dtype)
  state = jax.tree.map(draw, _shapes(rows, dtype))
  return state.replace(step=jnp.int32(step))


def assert_same(a, b) -> None:
  """Same structure, dtypes and bits."""
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert x.dtype == y.dtype
    np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def pair(directory: str, rank: int, port: int) -> None:
  """Saves sharded arrays, damages a step, restores the one before it."""
  jax.distributed.initialize(f"127.0.0.1:{port}", 2, rank)
  mesh = jax.make_mesh(
    (jax.device_count(),), ("fsdp",), axis_types=(AxisType.Auto,)
  )
  shard = lambda x: NamedSharding(
    mesh, PartitionSpec("fsdp") if x.ndim == 2 else PartitionSpec()
  )

  def make(step):
    put = lambda x: jax.make_array_from_callback(
      x.shape, shard(x), np.asarray(x).__getitem__
    )
    return jax.tree.map(put, make_state(step))

  hashed = set()
  sha256 = checksums._sha256

  def noted(path):
    parts = [p for p in path.parts if p.startswith("ocdbt.process_")]
    hashed.update(parts or ["the rest"])
    return sha256(path)

  checksums._sha256 = noted
  with Checkpointer(directory) as checkpointer:
    for step in (1, 2):
      checkpointer.save(step, make(step), config=CONFIG)
    checkpointer.wait()
    print(f"hashed by {rank}: {sorted(hashed)}", flush=True)
    multihost_utils.sync_global_devices("saved")
    if rank == 0:
      flip_byte(sorted(checkpointer.directory.glob("2/train/d/*"))[0])
    multihost_utils.sync_global_devices("damaged")
    state, step, _ = checkpointer.restore(make(0))
    for x, y in zip(*map(jax.tree.leaves, (state, make(1))), strict=True):
      assert x.sharding == y.sharding and bool((x == y).all())
    print("restored", step, checkpointer.all_steps(), flush=True)


def flip_byte(path) -> None:
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(bytes(data))


if __name__ == "__main__":
  pair(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
