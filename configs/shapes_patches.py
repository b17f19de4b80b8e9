# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains chairs and cars of `shapes` at 64x64 on two CPU cores, in patches.

  python datasets/build.py shapes --config 64
  python -m threedim_jax.main --config=configs/shapes_patches.py --workdir=W

The network is the quickstart's on patches of 2x2 pixels, with a few layers at
full resolution (`models/patches.py`). Training starts from the bundled weights
for 32x32. Each of their pixels becomes a patch.
"""

from ml_collections import ConfigDict

from configs import shapes_small, srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = shapes_small.get_config()
  c.model.update(patch_size=2, detail_ch=16, ch_mult=(1, 2, 2))
  c.diffusion.logsnr_shift = -2.0
  c.optim.update(warmup_examples=800, ema_half_life_examples=2_000)
  return srn_chairs.variant(c, arg)
