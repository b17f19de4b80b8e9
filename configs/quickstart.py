# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains, samples and evaluates within minutes on two CPU cores.

  bash launch/quickstart.sh

The data are chairs of `shapes` at 64x64. Training starts from the bundled
weights (`threedim_jax/models/weights/`), because minutes on a CPU are not
enough to train from random ones. `--config.train.init_from=` starts from random
weights.
"""

from ml_collections import ConfigDict

from configs import shapes_small, srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = shapes_small.get_config()
  c.data.config = "quickstart"
  c.diffusion.logsnr_shift = 0.0
  c.optim.update(learning_rate=2e-4, ema_half_life_examples=800)
  c.train.update(
    num_examples=1_920,
    init_from="shapes64",
    eval_every_steps=60,
    checkpoint_every_steps=60,
  )
  c.sample.update(num_objects=2, num_views=12, batch_size=2)
  c.evaluate.update(num_objects=8, num_views=2, batch_size=8)
  return srn_chairs.variant(c, arg)
