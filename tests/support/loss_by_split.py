# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compares the loss of a training on objects it has seen and on others.

  python tests/support/loss_by_split.py WORKDIR [--num_batches 24]

If both are equal, the network needs more training or more channels. If objects
that it has seen are much better, it needs more objects. The loss is that of the
averaged weights, with the same noise for both splits, by log-SNR.
"""

import argparse

import jax
from ml_collections import ConfigDict

from threedim_jax.inputs.pairs import eval_batches
from threedim_jax.inputs.view_source import open_split
from threedim_jax.runtime.sharding import make_mesh, put_batch
from threedim_jax.training.setup import make_setup
from threedim_jax.training.step_metrics import evaluate_loss
from threedim_jax.workdir.checkpoints.checkpointer import read_params

SPLITS = ("train", "test")


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("workdir")
  parser.add_argument("--num_batches", type=int, default=24)
  args = parser.parse_args()
  params, config = read_params(args.workdir)
  config = ConfigDict(config)
  mesh = make_mesh(-1, 1)
  setup = make_setup(config, mesh)
  params = jax.device_put(params, setup.shardings.params)
  for split in SPLITS:
    batches = eval_batches(
      open_split(config, split),
      batch_size=config.train.batch_size,
      num_batches=args.num_batches,
      seed=config.seed,
    )
    batches = (put_batch(batch, mesh) for batch in batches)
    scalars, _ = evaluate_loss(
      setup.eval_step, batches, jax.random.key(0), params, lambda: False
    )
    rows = "  ".join(
      f"{name.removeprefix('eval/')} {value:.4f}"
      for name, value in sorted(scalars.items())
    )
    print(f"{split}: {rows}", flush=True)


if __name__ == "__main__":
  main()
