# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adam with a warm-up and a decay, and the decay of the parameter average.

Durations are in examples, as in the paper, and become steps here and nowhere
else: changing the batch size leaves the recipe alone.
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
  num_examples: int = 0,
  decay_examples: int = 0,
) -> optax.GradientTransformation:
  """Adam whose rate rises linearly to its peak (3DiM, appendix).

  Args:
    learning_rate: the peak.
    warmup_examples: over which the rate rises.
    b1: decay of Adam's first moment.
    b2: decay of Adam's second moment.
    global_batch_size: examples of one update.
    num_examples: of the whole training; only the decay depends on it.
    decay_examples: over the last ones, the rate falls linearly to zero; 0
      keeps it at the peak (3DiM).
  """
  warmup_steps = max(1, round(warmup_examples / global_batch_size))
  num_steps = num_examples // global_batch_size
  decay_steps = round(decay_examples / global_batch_size)

  def schedule(count):
    # Update k (from 0) uses (k + 1) / warmup_steps of the peak: none is wasted.
    scale = jnp.minimum((count + 1) / warmup_steps, 1.0)
    if decay_steps:
      left = jnp.maximum(num_steps - count, 0) / decay_steps
      scale = jnp.minimum(scale, left)
    return learning_rate * scale

  return optax.adam(schedule, b1=b1, b2=b2)


def ema_decay(half_life_examples: int, global_batch_size: int) -> float:
  """Decay per step of an average with the given half-life."""
  return 0.5 ** (global_batch_size / half_life_examples)


def ema_update(ema_params: PyTree, params: PyTree, decay: float) -> PyTree:
  """decay * ema + (1 - decay) * params."""
  return jax.tree.map(
    lambda e, p: e + (1.0 - decay) * (p - e), ema_params, params
  )
