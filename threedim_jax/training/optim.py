# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adam, and its learning rate: a warm-up, a constant and a decay.

The paper gives durations in examples. They become steps here and nowhere else,
so a configuration means the same at every batch size.
"""

from typing import Any

import jax.numpy as jnp
import optax


def make_tx(config: Any) -> optax.GradientTransformation:
  """Adam whose learning rate rises linearly to its peak (3DiM, appendix).

  Over the last `optim.decay_examples` of the training the rate falls linearly
  to zero; 0, as in the paper, keeps it at the peak.

  Args:
    config: a whole configuration; `optim` and `train` are read.
  """
  optim, batch_size = config.optim, config.train.batch_size
  peak = optim.learning_rate
  warmup_steps = max(1, round(optim.warmup_examples / batch_size))
  num_steps = config.train.num_examples // batch_size
  decay_steps = round(optim.decay_examples / batch_size)

  def schedule(count):
    # Counts from 0. With + 1 the first update already changes something.
    scale = jnp.minimum((count + 1) / warmup_steps, 1.0)
    if decay_steps:
      left = jnp.maximum(num_steps - count, 0) / decay_steps
      scale = jnp.minimum(scale, left)
    return peak * scale

  return optax.adam(schedule, b1=optim.b1, b2=optim.b2)
