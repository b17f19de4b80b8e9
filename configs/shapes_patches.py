# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains chairs and cars of `shapes` at 64x64 on two CPU cores, in patches.

  python datasets/build.py shapes --config 64
  python -m threedim_jax.main --config=configs/shapes_patches.py --workdir=W

The network is an X-UNet on patches of 4x4 pixels with a thin path at full
resolution. A training example costs 6.7 GFLOP; a network of the quickstart's
kind needs 14.6 GFLOP for the same pixels.
"""

from ml_collections import ConfigDict

from configs import quickstart, srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = srn_chairs.get_config()
  c.data.update(name="shapes", config="64", resolution=64, num_threads=1)
  quickstart.use_small_network(c)
  c.model.update(  # sizes are in patches
    patch_size=4,
    detail_ch=16,
    ch=64,
    ch_mult=(1, 2),
    num_res_blocks=2,
    attn_resolutions=(8,),
    cross_attn_resolutions=(8, 16),
    norm_groups=8,
  )
  c.diffusion.logsnr_shift = -2.0
  c.optim.update(
    learning_rate=1e-3, warmup_examples=1_600, ema_half_life_examples=3_000
  )
  c.train.update(
    batch_size=16,
    num_examples=200_000,
    log_every_steps=10,
    eval_every_steps=300,
    checkpoint_every_steps=300,
    eval_batches=4,
  )
  c.sample.update(num_objects=4, batch_size=4)
  c.evaluate.update(num_objects=8, num_views=4, batch_size=8)
  return srn_chairs.variant(c, arg)
