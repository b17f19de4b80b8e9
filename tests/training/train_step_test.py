# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The training step: learns, resumes, accumulates, and shards the same."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from random_params import random_params

from configs import srn_chairs
from threedim_jax.diffusion.losses import draw_noise
from threedim_jax.models import dummy_inputs, get_model
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.sharding import (
  batch_sharding,
  make_mesh,
  put_batch,
  replicated,
  state_sharding,
)
from threedim_jax.training.optim import make_tx
from threedim_jax.training.setup import make_loss_fn
from threedim_jax.training.train_step import (
  TrainState,
  create_train_state,
  make_train_step,
  num_microbatches,
)
from threedim_jax.views.pair_batch import PairBatch

RNG = jax.random.key(0)


def pair_batch(cameras, batch_size: int, resolution: int, seed=0) -> PairBatch:
  """Noise for pictures, seen from two of the cameras each."""
  rng = np.random.default_rng(seed)
  shape = (batch_size, resolution, resolution, 3)
  view = lambda: jnp.asarray(rng.integers(0, 256, shape, dtype=np.uint8))
  pick = lambda first: jax.tree.map(
    lambda x: jnp.asarray(x[(np.arange(batch_size) + first) % len(x)]), cameras
  )
  return PairBatch(view(), view(), pick(0), pick(1))


# --- With the network --------------------------------------------------------


def small_network(cameras, batch_size: int, attn_resolutions=(8,)):
  """(loss_fn, parameters, batch) of a network of two blocks."""
  config = srn_chairs.get_config("debug")
  config.data.resolution = 8
  config.model.update(
    ch_mult=(1,), num_res_blocks=0, attn_resolutions=attn_resolutions
  )
  params = random_params(
    get_model(config.model), 0, *dummy_inputs(8), train=False
  )
  return make_loss_fn(config), params, pair_batch(cameras, batch_size, 8)


def new_state(params, tx) -> TrainState:
  return create_train_state(jax.tree.map(jnp.array, params), tx)


class Setup(NamedTuple):
  """A jitted step that donates; `state()` makes the same state each time."""

  step: Callable
  state: Callable
  batch: PairBatch


@pytest.fixture(scope="module")
def setup(toy_cameras) -> Setup:
  loss_fn, params, batch = small_network(toy_cameras, 4)
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
  assert metrics.keys() == {"loss", "grad_norm", "bin_sum", "bin_count"}
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


def test_every_step_draws_anew_and_resuming_draws_the_same(toy_cameras):
  """Time, noise and masks: a step's draws depend on the key and its number."""

  def loss_fn(params, batch, rng):
    noised = draw_noise(batch, rng, prediction="eps", uncond_fraction=0.5)
    return params["w"], {
      "logsnr": noised.logsnr,
      "eps": noised.eps,
      "cond_mask": noised.cond_mask,
    }

  batch = pair_batch(toy_cameras, 16, 2)
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
def test_accumulation_equals_the_whole_batch(toy_cameras, parts):
  batch = pair_batch(toy_cameras, 8, 2)
  whole, metrics = toy_step(regression)(toy_state(TOY_PARAMS), batch, RNG)
  step = toy_step(regression, parts=parts)
  state, accumulated = step(toy_state(TOY_PARAMS), batch, RNG)
  compare = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5)
  jax.tree.map(compare, state, whole)
  jax.tree.map(compare, accumulated, metrics)
  assert np.abs(state.params["w"] - TOY_PARAMS["w"]) > 1e-3


def test_micro_batches_draw_their_own_noise(toy_cameras):
  def loss_fn(params, batch, rng):
    draws = jax.random.uniform(rng, (1,))
    # As two sums: a sum over parts keeps apart what is equal in both.
    return params["w"], {"sum": draws, "sum_sq": jnp.square(draws)}

  batch = pair_batch(toy_cameras, 4, 2)
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


# --- On four devices ---------------------------------------------------------


@pytest.fixture(scope="module")
def sharded(toy_cameras):
  """(step, state, batch) with momentum SGD.

  Not Adam: it divides a gradient by its size, which turns the rounding of a
  tiny one into a full step.
  """
  loss_fn, params, batch = small_network(toy_cameras, 8, attn_resolutions=())
  tx = optax.sgd(0.1, momentum=0.9)
  step = make_train_step(loss_fn, tx, ema_decay=0.9)
  return step, new_state(params, tx), batch


@pytest.fixture(scope="module")
def on_one_device(sharded):
  step, state, batch = sharded
  return jax.device_get(jax.jit(step)(state, batch, RNG))


@pytest.mark.parametrize("data, fsdp", [(2, 2), (1, 4), (4, 1)])
def test_four_devices_compute_what_one_does(sharded, on_one_device, data, fsdp):
  if jax.device_count() != 4:
    pytest.skip("written for four devices")
  step, state, batch = sharded
  mesh = make_mesh(data, fsdp)
  shardings, rep = state_sharding(mesh, state), replicated(mesh)
  with jax.set_mesh(mesh):
    got, metrics = jax.jit(
      step,
      in_shardings=(shardings, batch_sharding(mesh), rep),
      out_shardings=(shardings, rep),
    )(jax.device_put(state, shardings), put_batch(batch, mesh), RNG)
  kernel = got.params["XUNetBlock_1"]["ResnetBlock_0"]["Conv_0"]["kernel"]
  shards = [s.data.shape for s in kernel.addressable_shards]
  assert kernel.shape == (3, 3, 64, 32) and shards == 4 * [
    (3, 3, 64 // fsdp, 32)
  ]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5),
    (got, metrics),
    on_one_device,
  )
