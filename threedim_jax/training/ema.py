# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The running average (EMA) of the parameters, which sampling uses."""

import jax
from jaxtyping import PyTree


def ema_decay(half_life_examples: int, global_batch_size: int) -> float:
  """Converts the half-life of a running average (EMA) to a decay per step.

  After `half_life_examples` examples, old parameters have lost half of their
  weight in the average (3DiM, sec. 7.2: 500 000 examples).

  Args:
    half_life_examples: half-life, as a number of training examples.
    global_batch_size: number of examples in a step.
  """
  return 0.5 ** (global_batch_size / half_life_examples)


def ema_update(ema_params: PyTree, params: PyTree, decay: float) -> PyTree:
  """Returns the new running average: decay * ema + (1 - decay) * params."""
  return jax.tree.map(
    lambda e, p: e + (1.0 - decay) * (p - e), ema_params, params
  )
