# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adam with a warm-up and the decay of the parameter average.

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
) -> optax.GradientTransformation:
  """Adam whose rate rises linearly to its peak (3DiM, appendix)."""
  warmup_steps = max(1, round(warmup_examples / global_batch_size))
  # Update k (from 0) uses (k + 1) / warmup_steps of the peak: none is wasted.
  schedule = lambda count: (
    learning_rate * jnp.minimum((count + 1) / warmup_steps, 1.0)
  )
  return optax.adam(schedule, b1=b1, b2=b2)


def ema_decay(half_life_examples: int, global_batch_size: int) -> float:
  """Decay per step of an average with the given half-life."""
  return 0.5 ** (global_batch_size / half_life_examples)


def ema_update(ema_params: PyTree, params: PyTree, decay: float) -> PyTree:
  """decay * ema + (1 - decay) * params."""
  return jax.tree.map(
    lambda e, p: e + (1.0 - decay) * (p - e), ema_params, params
  )
