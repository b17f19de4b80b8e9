# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The training step: learns, resumes and accumulates.

`scale_test.py` compares it on many devices with one.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_training import pair_batch, small_network

from configs import srn_chairs
from threedim_jax.diffusion.losses import draw_noise
from threedim_jax.runtime.errors import UserError
from threedim_jax.training.optim import make_tx
from threedim_jax.training.train_step import (
  TrainState,
  create_train_state,
  make_train_step,
  num_microbatches,
)
from threedim_jax.views.pair_batch import PairBatch

RNG = jax.random.key(0)


# --- With the network --------------------------------------------------------


def new_state(params, tx) -> TrainState:
  return create_train_state(jax.tree.map(jnp.array, params), tx)


class Setup(NamedTuple):
  """A jitted step that donates; `state()` makes the same state each time."""

  step: Callable
  state: Callable
  batch: PairBatch


@pytest.fixture(scope="module")
def setup() -> Setup:
  loss_fn, params, batch = small_network(4)
  config = srn_chairs.get_config()
  config.train.batch_size = 4
  config.optim.update(learning_rate=2e-3, warmup_examples=16)
  tx = make_tx(config)
  step = jax.jit(make_train_step(loss_fn, tx, ema_decay=0.5), donate_argnums=0)
  return Setup(step, lambda: new_state(params, tx), batch)


# Of the first step below. They change when the network, the loss, the random
# draws or the initial values of this test do: if that is meant, and the parity
# test passes, copy the new numbers from the failure.
GOLDEN = {"loss": 1.38281, "grad_norm": 2.67287}


def test_metrics_of_the_first_step(setup):
  start = jax.device_get(setup.state().params)
  state, metrics = jax.device_get(setup.step(setup.state(), setup.batch, RNG))
  norms = {"grad_norm", "param_norm"}
  assert metrics.keys() == {"loss", *norms, "bin_sum", "bin_count"}
  squares = jax.tree.map(lambda x: np.sum(np.square(x)), state.params)
  norm = np.sqrt(sum(jax.tree.leaves(squares)))
  assert float(metrics["param_norm"]) == pytest.approx(norm, rel=1e-5)
  got = {k: float(metrics[k]) for k in GOLDEN}
  assert got == pytest.approx(GOLDEN, rel=1e-3)
  assert state.step == 1
  # The average has moved half of the way that the parameters have.
  jax.tree.map(
    lambda p, q, e: np.testing.assert_allclose(e, (p + q) / 2, atol=1e-6),
    start,
    state.params,
    state.ema_params,
  )
  # And they, by a quarter of the peak rate in a warm-up of four steps.
  moves = jax.tree.map(lambda p, q: np.max(np.abs(p - q)), start, state.params)
  np.testing.assert_allclose(
    np.max(jax.tree.leaves(moves)), 2e-3 / 4, rtol=1e-2
  )


def test_one_pair_is_learned(setup):
  """The same pair four times, at random noise levels: the loss falls."""
  batch = jax.tree.map(lambda x: jnp.stack([x[0]] * 4), setup.batch)
  state, losses = setup.state(), []
  for _ in range(40):
    state, metrics = setup.step(state, batch, RNG)
    losses.append(float(metrics["loss"]))
  assert np.mean(losses[:3]) > 1.0 and np.mean(losses[-10:]) < 0.4


# --- With toy losses ---------------------------------------------------------


def toy_state(params) -> TrainState:
  tx = optax.sgd(0.1, momentum=0.9)
  return create_train_state(params, tx)


def toy_step(loss_fn, **options):
  tx = optax.sgd(0.1, momentum=0.9)
  return jax.jit(make_train_step(loss_fn, tx, 0.5, **options))


def test_every_step_draws_anew_and_resuming_draws_the_same():
  """Time, noise and masks: a step's draws depend on the key and its number."""

  def loss_fn(params, batch, rng):
    noised = draw_noise(batch, rng, prediction="eps", uncond_fraction=0.5)
    return params["w"], {
      "logsnr": noised.logsnr,
      "eps": noised.eps,
      "cond_mask": noised.cond_mask,
    }

  batch = pair_batch(16, 2)
  step, start = toy_step(loss_fn), toy_state({"w": jnp.float32(1.0)})
  first_state, first = step(start, batch, RNG)
  _, second = step(first_state, batch, RNG)
  for name in ("logsnr", "eps", "cond_mask"):
    assert np.any(first[name] != second[name]), name
  resumed = start.replace(step=jnp.int32(1))
  _, again = step(resumed, batch, RNG)
  np.testing.assert_array_equal(again["eps"], second["eps"])
  _, other = step(start, batch, jax.random.key(1))
  assert np.all(other["eps"] != first["eps"])


def regression(params, batch, rng):
  """A loss that is a mean over examples and draws nothing."""
  del rng
  error = (
    batch.target_view.astype(jnp.float32).mean((1, 2, 3)) * params["w"] / 100.0
    - batch.cond_cam.world_from_cam[:, 0, 3]
    + params["b"]
  )
  return jnp.mean(jnp.square(error)), {"bin_sum": jnp.sum(error)}


TOY_PARAMS = {"w": jnp.float32(0.3), "b": jnp.float32(0.7)}


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulation_equals_the_whole_batch(parts):
  batch = pair_batch(8, 2)
  whole, metrics = toy_step(regression)(toy_state(TOY_PARAMS), batch, RNG)
  step = toy_step(regression, parts=parts)
  state, accumulated = step(toy_state(TOY_PARAMS), batch, RNG)
  compare = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5)
  jax.tree.map(compare, state, whole)
  jax.tree.map(compare, accumulated, metrics)
  assert np.abs(state.params["w"] - TOY_PARAMS["w"]) > 1e-3


def test_micro_batches_draw_their_own_noise():
  def loss_fn(params, batch, rng):
    draws = jax.random.uniform(rng, (1,))
    # As two sums: a sum over parts keeps apart what is equal in both.
    return params["w"], {"sum": draws, "sum_sq": jnp.square(draws)}

  batch = pair_batch(4, 2)
  step = toy_step(loss_fn, parts=2)
  _, metrics = step(toy_state({"w": jnp.float32(1.0)}), batch, RNG)
  # (a + b)^2 < 2 (a^2 + b^2) unless a = b.
  spread = 2.0 * metrics["sum_sq"] - jnp.square(metrics["sum"])
  assert spread[0] > 1e-3


def test_number_of_micro_batches():
  assert num_microbatches(128, None, 4) == 1
  assert num_microbatches(128, 32, 4) == 1
  assert num_microbatches(128, 8, 4) == 4
  assert num_microbatches(128, 32, 8) == 1, "at most so many at once"
  with pytest.raises(UserError, match="=128 .* 4 devices .*=24;"):
    num_microbatches(128, 24, 4)
  with pytest.raises(UserError, match="=100 .* 8 devices"):
    num_microbatches(100, None, 8)
