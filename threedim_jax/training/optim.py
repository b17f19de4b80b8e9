# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adam or Muon, with a learning rate that warms up, stays constant and decays.

Configurations give durations in examples, as the paper does, so that the
durations do not depend on the batch size. This module converts examples to
steps.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree
import optax
from optax import contrib

OPTIMIZERS = ("adam", "muon")  # values of `optim.name`


def make_tx(config: Any) -> optax.GradientTransformation:
  """Makes the optimizer, with a linear warm-up of the rate (3DiM, sec. 7.2).

  The paper trains with Adam. Muon replaces the matrix of a layer's update by
  the nearest matrix with orthogonal rows or columns
  (https://kellerjordan.github.io/posts/muon). It then scales the matrix to a
  root mean square of 0.2 times the rate (arXiv 2502.16982, sec. 2.2). Biases,
  norms and learned embeddings are not matrices, so Adam updates them, with
  Nesterov's momentum.

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

  if optim.name == "adam":
    return optax.adam(schedule, b1=optim.b1, b2=optim.b2)
  return contrib.muon(
    schedule,
    adam_learning_rate=schedule,
    adam_b1=optim.b1,
    adam_b2=optim.b2,
    muon_weight_dimension_numbers=_matrix_axes,
    consistent_rms=0.2,
  )


def _matrix_axes(params: PyTree) -> PyTree:
  """Tells for each array which axes a layer reads and writes, or None.

  None means that the array is not a layer's kernel.
  """

  def axes(path, x):
    if path[-1].key != "kernel":
      return None
    # Projections of attention have the axes [input, heads, channels]. In all
    # other kernels, only the last axis is written.
    num_read = 1 if x.ndim == 3 else x.ndim - 1
    every = tuple(range(x.ndim))
    return contrib.MuonDimensionNumbers(every[:num_read], every[num_read:])

  return jax.tree_util.tree_map_with_path(axes, params)
