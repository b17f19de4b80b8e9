# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a run starts with: weights that ship, another training, larger nets."""

from flax import traverse_util
import jax
import numpy as np
import pytest
from small_training import save_as_trained, untrained_state

from configs import shapes_tiny, srn_chairs
from threedim_jax.models import make_init_fn
from threedim_jax.models.pretrained import read_weights
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.sharding import make_mesh
from threedim_jax.training.initial_state import initial_state, starting_params
from threedim_jax.training.setup import make_setup

POSITIONS = "ConditioningProcessor_0/pos_emb"


def no_new_levels():
  raise AssertionError("asked for parameters of levels that are all known")


@pytest.fixture(scope="module")
def small_training(tmp_path_factory):
  """(workdir of a network for 8x8 pictures, its averaged parameters)."""
  config = srn_chairs.get_config("debug")
  config.data.resolution = 8
  config.model.attn_resolutions = (4,)
  state = untrained_state(config)
  workdir = tmp_path_factory.mktemp("small")
  save_as_trained(workdir, state, config)
  return workdir, state.ema_params


@pytest.mark.parametrize("factor", [1, 2])
def test_training_goes_on_with_larger_pictures(small_training, factor):
  """Every place of the small picture is where `factor`^2 new ones are."""
  workdir, small = small_training
  config = srn_chairs.get_config("debug")
  config.data.resolution = 8 * factor
  config.model.attn_resolutions = (4 * factor,)
  target = jax.eval_shape(make_init_fn(config), jax.random.key(0))
  config.train.init_from = str(workdir)
  params = starting_params(config, target, no_new_levels)
  flat = lambda tree: traverse_util.flatten_dict(tree, sep="/")
  grown, small = flat(params), flat(small)
  positions = grown.pop(POSITIONS)
  expected = np.array(small.pop(POSITIONS))
  for row in range(8 * factor):
    for column in range(8 * factor):
      place = expected[row // factor, column // factor]
      np.testing.assert_array_equal(positions[row, column], place)
  assert grown.keys() == small.keys()
  for name, value in grown.items():
    np.testing.assert_array_equal(value, small[name])


@pytest.mark.slow
def test_a_training_starts_with_a_level_more(small_training):
  """On several devices, with random parameters in the new level alone."""
  workdir, small = small_training
  config = srn_chairs.get_config("debug")
  config.model.update(ch_mult=(1, 1, 2), attn_resolutions=(4,))
  config.train.init_from = str(workdir)
  setup = make_setup(config, make_mesh(-1, 1))
  state = initial_state(config, setup, jax.random.key(1))
  kernel = lambda params, block: np.asarray(
    params[block]["ResnetBlock_0"]["Conv_0"]["kernel"]
  )
  for params in (state.params, state.ema_params):
    old = kernel(small, "XUNetBlock_0")
    np.testing.assert_array_equal(kernel(params, "XUNetBlock_1"), old)
    assert 0.01 < np.std(kernel(params, "XUNetBlock_0")) < 1.0
    assert not np.array_equal(kernel(params, "XUNetBlock_0"), old)
  assert int(state.step) == 0


@pytest.mark.parametrize(
  "source, prediction, message",
  [
    ("shapes23", "v", "shapes23.*neither.*shapes32"),
    ("no/such/folder", "v", "no/such/folder.*neither.*shapes32"),
    ("another training", "eps", "another architecture"),
    # They would fit in: the arrays are the same.
    ("shapes32", "eps", "diffusion.prediction=v"),
  ],
)
def test_a_start_that_cannot_be_used_is_refused(
  small_training, source, prediction, message
):
  config = shapes_tiny.get_config()
  config.diffusion.prediction = prediction
  config.train.init_from = source
  if source == "another training":
    config.train.init_from = str(small_training[0])
  init = make_init_fn(config)
  target = jax.eval_shape(init, jax.random.key(0))
  zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), target)
  with pytest.raises(UserError, match=message):
    starting_params(config, target, lambda: zeros)


def test_a_network_that_predicts_something_else_is_no_start(small_training):
  """Its arrays are the same: nothing else would tell."""
  config = srn_chairs.get_config("debug")
  config.data.resolution = 8
  config.model.attn_resolutions = (4,)
  config.train.init_from = str(small_training[0])
  config.diffusion.prediction = "v"
  target = jax.eval_shape(make_init_fn(config), jax.random.key(0))
  with pytest.raises(UserError, match="trained with diffusion.prediction=eps"):
    starting_params(config, target, no_new_levels)


def test_relative_cameras_start_from_weights_with_absolute_ones():
  config = shapes_tiny.get_config("relative")
  config.train.init_from = "shapes32"
  target = jax.eval_shape(make_init_fn(config), jax.random.key(0))
  params = starting_params(config, target, no_new_levels)
  expected = read_weights("shapes32")
  jax.tree.map(np.testing.assert_array_equal, params, expected)
