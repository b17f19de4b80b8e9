# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adam with a learning rate that warms up, stays constant and decays.

Configurations give durations in examples, as the paper does, so that the
durations do not depend on the batch size. This module converts examples to
steps.
"""

from typing import Any

import jax.numpy as jnp
import optax


def make_tx(config: Any) -> optax.GradientTransformation:
  """Makes Adam with a linear warm-up of the learning rate (3DiM, sec. 7.2).

  Over the last `optim.decay_examples` training examples, the learning rate
  falls linearly to zero. If `optim.decay_examples` is 0, as in the paper, the
  learning rate stays at its peak.

  Args:
    config: a whole configuration; `optim` and `train` are read.
  """
  optim, batch_size = config.optim, config.train.batch_size
  peak = optim.learning_rate
  warmup_steps = max(1, round(optim.warmup_examples / batch_size))
  num_steps = config.train.num_examples // batch_size
  decay_steps = round(optim.decay_examples / batch_size)

  def schedule(count):
    # `count` starts at 0. Adding 1 gives the first update a rate above 0.
    scale = jnp.minimum((count + 1) / warmup_steps, 1.0)
    if decay_steps:
      left = jnp.maximum(num_steps - count, 0) / decay_steps
      scale = jnp.minimum(scale, left)
    return peak * scale

  return optax.adam(schedule, b1=optim.b1, b2=optim.b2)
