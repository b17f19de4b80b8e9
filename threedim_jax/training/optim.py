# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adam with a warm-up, and the running average of the parameters.

The paper gives durations in examples. They become steps here and nowhere else,
so a configuration means the same at every batch size.
"""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree
import optax


def make_optimizer(
  *,
  learning_rate: float,
  warmup_examples: int,
  b1: float,
  b2: float,
  global_batch_size: int,
) -> optax.GradientTransformation:
  """Adam whose learning rate rises linearly to its peak (3DiM, appendix).

  Args:
    learning_rate: at the peak, and after it.
    warmup_examples: duration of the rise.
    b1: decay of Adam's first moment.
    b2: decay of its second moment.
    global_batch_size: examples per step.
  """
  warmup_steps = max(1, round(warmup_examples / global_batch_size))

  def schedule(count):
    # Counts from 0. With + 1 the first update already changes something.
    return learning_rate * jnp.minimum((count + 1) / warmup_steps, 1.0)

  return optax.adam(schedule, b1=b1, b2=b2)


def ema_decay(half_life_examples: int, global_batch_size: int) -> float:
  """The decay per step of a running average with the given half-life."""
  return 0.5 ** (global_batch_size / half_life_examples)


def ema_update(ema_params: PyTree, params: PyTree, decay: float) -> PyTree:
  """The new running average: decay * ema + (1 - decay) * params."""
  return jax.tree.map(
    lambda e, p: e + (1.0 - decay) * (p - e), ema_params, params
  )
