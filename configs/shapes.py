# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""3DiM on the embedded `shapes` data (chairs and cars) at 64x64, for one GPU.

  python datasets/build.py shapes --config 64
  python -m threedim_jax.main --config=configs/shapes.py --workdir=W

The network is smaller than the paper's, and the warm-up, the half-life of the
averaged weights and the training are shorter. The rest of the recipe is the
paper's. Nobody has trained it to the end yet, so there is no number to expect.
On CPUs, use `configs/shapes_small.py`.
"""

from ml_collections import ConfigDict

from configs import srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = srn_chairs.get_config()
  c.data.update(name="shapes", config="64", resolution=64)
  c.model.update(ch=64, ch_mult=(1, 2, 4), emb_ch=256, num_res_blocks=2)
  c.optim.update(warmup_examples=100_000, ema_half_life_examples=50_000)
  c.train.update(num_examples=6_400_000, per_device_batch_size=32)
  return srn_chairs.variant(c, arg)
