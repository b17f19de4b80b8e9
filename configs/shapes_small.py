# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains chairs and cars of `shapes` at 64x64 on two CPU cores.

  python datasets/build.py shapes --config 64
  python -m threedim_jax.main --config=configs/shapes_small.py --workdir=W

The network is the quickstart's with one more level around it. Training starts
from the bundled weights for 32x32. The card of `shapes64`
(`threedim_jax/models/weights/README.md`) has the command for a second part of
the training. After that part, expect a PSNR of 18.05 dB.
"""

from ml_collections import ConfigDict

from configs import quickstart, srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = srn_chairs.get_config()
  c.data.update(name="shapes", config="64", resolution=64, num_threads=1)
  quickstart.use_small_network(c)
  c.model.update(  # the other levels are those for 32x32
    ch_mult=(1, 1, 2, 2),
    attn_resolutions=(8,),
    cross_attn_resolutions=(8, 16),
  )
  c.diffusion.logsnr_shift = -2.8  # -1.4 as for 32x32, less log 4 for 4x pixels
  c.optim.update(
    learning_rate=7e-4, warmup_examples=400, ema_half_life_examples=3_000
  )
  c.train.update(
    batch_size=16,
    num_examples=36_000,
    init_from="shapes32",
    log_every_steps=10,
    eval_every_steps=300,
    checkpoint_every_steps=100,
    eval_batches=4,
  )
  c.sample.update(num_objects=4, batch_size=4)
  c.evaluate.update(num_objects=8, num_views=4, batch_size=8)
  return srn_chairs.variant(c, arg)
