# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains chairs and cars of `shapes` at 64x64 on two CPU cores.

  python datasets/build.py shapes --config 64
  python -m threedim_jax.main --config=configs/shapes_small.py --workdir=W

The network is that of `configs/shapes_tiny.py` on patches of 2x2 pixels, with a
small U-Net at full resolution (`models/patches.py`). Training starts from the
bundled weights for 32x32, each of whose pixels becomes a patch. The card of the
weights `shapes64` (`threedim_jax/models/weights/README.md`) has the commands of
the other parts of the training. After these, expect a PSNR of 19.58 dB.
"""

from ml_collections import ConfigDict

from configs import shapes_tiny, srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = shapes_tiny.get_config()
  c.data.update(config="64", resolution=64)
  # The other sizes are those of the network for 32x32, counted in patches.
  c.model.update(patch_size=2, detail_ch=32)
  c.diffusion.logsnr_shift = -2.0
  # A quarter of the time of 32 steps, with a higher PSNR: launch/benchmarks.md,
  # "Steps of the weights for 64x64".
  c.sampler.num_sample_steps = 8
  c.optim.update(
    name="muon",
    learning_rate=1e-3,
    warmup_examples=800,
    ema_half_life_examples=2_000,
  )
  c.train.update(num_examples=8_624, init_from="shapes32")
  return srn_chairs.variant(c, arg)
