# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adam, Muon, their warm-up and the running average, in examples."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import srn_chairs
from threedim_jax.training.ema import ema_decay, ema_update
from threedim_jax.training.optim import make_tx


def updates(
  num_updates: int, gradients=None, batch_size=4, **options
) -> np.ndarray:
  """What the optimizer adds to a parameter at each update."""
  config = srn_chairs.get_config()
  config.optim.update(learning_rate=0.5, warmup_examples=16, b1=0.9, b2=0.99)
  config.train.batch_size = batch_size
  config.train.num_examples = options.pop("num_examples", 10**6)
  config.optim.update(options)
  tx = make_tx(config)
  state, result = tx.init(jnp.zeros(2)), []
  update = jax.jit(tx.update)
  for i in range(num_updates):
    gradient = jnp.ones(2) if gradients is None else gradients[i]
    step, state = update(gradient, state)
    result.append(np.asarray(step))
  return np.stack(result)


@pytest.mark.parametrize(
  "options, expected",
  [
    # 16 examples in batches of 4: a quarter of the peak at the first update.
    ({}, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]),
    # Twice the batch is half the steps; less than a batch is no warm-up.
    ({"batch_size": 8}, [0.5, 1.0, 1.0]),
    ({"warmup_examples": 1}, [1.0, 1.0]),
    # The last 16 of 24 examples; the rate is zero after the last update.
    (
      {"num_examples": 24, "decay_examples": 16},
      [0.25, 0.5, 0.75, 0.75, 0.5, 0.25, 0.0],
    ),
  ],
)
def test_warm_up_and_decay_are_counted_in_examples(options, expected):
  """Adam moves by the learning rate while the gradient stays the same."""
  got = updates(len(expected), **options)[:, 0]
  np.testing.assert_allclose(got, -0.5 * np.array(expected), rtol=1e-4)


def test_adam_by_hand():
  rng = np.random.default_rng(0)
  gradients = rng.standard_normal((5, 2)).astype(np.float32)
  got = updates(5, gradients, warmup_examples=0, learning_rate=1.0)
  m, v = np.zeros(2), np.zeros(2)
  for k in range(5):
    m = 0.9 * m + 0.1 * gradients[k]
    v = 0.99 * v + 0.01 * gradients[k] ** 2
    m_hat, v_hat = m / (1 - 0.9 ** (k + 1)), v / (1 - 0.99 ** (k + 1))
    np.testing.assert_allclose(
      got[k], -m_hat / (np.sqrt(v_hat) + 1e-8), rtol=1e-4
    )


def test_muon_makes_updates_of_kernels_orthogonal_and_leaves_the_rest_to_adam():
  config = srn_chairs.get_config()
  config.optim.update(name="muon", learning_rate=0.5, warmup_examples=0)
  tx = make_tx(config)
  rng = np.random.default_rng(0)
  draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)
  gradients = {
    "Conv_0": {"kernel": draw(3, 3, 4, 8), "bias": draw(8)},
    "Dense_0": {"kernel": draw(6, 24)},
    "query": {"kernel": draw(8, 2, 6)},  # [input, heads, channels]
    "pos_emb": draw(4, 4, 8),
  }
  zeros = jax.tree.map(jnp.zeros_like, gradients)
  got, _ = jax.jit(tx.update)(gradients, tx.init(zeros), zeros)
  matrices = {"Conv_0": (36, 8), "Dense_0": (6, 24), "query": (8, 12)}
  for name, shape in matrices.items():
    update, gradient = (
      tree[name]["kernel"].reshape(shape) for tree in (got, gradients)
    )
    # All singular values equal: the nearest such matrix to -gradient. Muon's
    # five iterations bring them to within a third of the same value.
    u, _, v = np.linalg.svd(gradient, full_matrices=False)
    size = 0.5 * 0.2 * math.sqrt(max(shape))
    np.testing.assert_allclose(np.diag(-u.T @ update @ v.T), size, rtol=0.35)
    np.testing.assert_allclose(
      u.T @ update @ v.T, -size * np.eye(len(u.T)), atol=0.35 * size
    )
  adam = optax.nadam(0.5, b1=0.9, b2=0.99)
  expected, _ = adam.update(gradients, adam.init(zeros), zeros)
  for tree in (got, expected):
    for name in matrices:
      del tree[name]["kernel"]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), got, expected
  )


@pytest.mark.parametrize("global_batch_size", [4, 50, 100])
def test_half_of_the_average_is_older_than_the_half_life(global_batch_size):
  decay = ema_decay(100, global_batch_size)
  start, new = {"w": jnp.zeros(3)}, {"w": jnp.ones(3)}
  ema = start
  for _ in range(100 // global_batch_size):
    ema = ema_update(ema, new, decay)
  np.testing.assert_allclose(ema["w"], 0.5, rtol=1e-5)
