# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests the paper's claims on a small scale: `shapes` at 16x16 pixels.

  python datasets/build.py shapes --config 16
  python launch/ablate.py --config=configs/ablation.py --root=runs/ablation16 \
      --score_steps=500

The network is that of `configs/shapes_tiny.py`, for pictures of half the size.
Each system trains from random weights in a quarter of an hour on two CPU cores.
"""

from ml_collections import ConfigDict

from configs import shapes_tiny, srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = srn_chairs.get_config()
  c.data.update(name="shapes", config="16", resolution=16, num_threads=1)
  shapes_tiny.use_small_network(c)
  c.model.norm_groups = 32  # as in launch/benchmarks.md
  c.optim.update(
    learning_rate=1e-3, warmup_examples=3_200, ema_half_life_examples=3_200
  )
  c.train.update(
    batch_size=32,
    num_examples=48_000,
    log_every_steps=50,
    eval_every_steps=500,
    checkpoint_every_steps=250,
    eval_batches=4,
  )
  c.evaluate.update(num_objects=16, num_views=20, batch_size=16)
  return srn_chairs.variant(c, arg)
