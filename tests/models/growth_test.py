# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A network for larger pictures goes on where the one for smaller ones was."""

from einops import repeat
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_params import random_params

from threedim_jax.models import dummy_inputs
from threedim_jax.models.growth import grow
from threedim_jax.models.xunet import XUNet
from threedim_jax.views.cameras import resize_camera

SIZE, NEW = 4, 2  # pixels, levels
SMALL = XUNet(
  ch=8,
  ch_mult=(1, 2),
  emb_ch=8,
  num_res_blocks=2,
  attn_resolutions=(2,),
  attn_heads=2,
  norm_groups=4,
  dropout=0.0,
  use_pos_emb=False,
)
LARGE = SMALL.clone(ch_mult=(1,) * NEW + SMALL.ch_mult)


def flat(tree) -> dict:
  return traverse_util.flatten_dict(tree, sep="/")


def enlarge(x, factor: int):
  return repeat(x, "... h w c -> ... (h a) (w b) c", a=factor, b=factor)


def answer(model, params, *inputs):
  apply = lambda params: model.apply({"params": params}, *inputs, train=False)
  return jax.jit(apply)(params)


@pytest.fixture(scope="module")
def small():
  params = random_params(SMALL, 0, *dummy_inputs(SIZE), train=False)
  # Nothing mixes places: then a picture and its enlargement differ in nothing.
  centre = np.zeros((3, 3, 1, 1), np.float32)
  centre[1, 1] = 1.0
  is_conv = lambda x: x.shape[:2] == (3, 3)
  return jax.tree.map(lambda x: x * centre if is_conv(x) else x, params)


@pytest.mark.parametrize("factor", [1, 2], ids=["as wide", "wider"])
def test_an_enlarged_picture_gets_the_enlarged_answer(small, factor):
  """Before any training, and as long as rays and positions say nothing.

  If the large network is also wider, the trained levels are widened before they
  get new levels around them.
  """
  large = LARGE.clone(ch=factor * LARGE.ch)
  inputs = dummy_inputs(SIZE * 2**NEW)
  init = jax.jit(lambda rng: large.init(rng, *inputs, train=False))
  start = init(jax.random.key(0))["params"]
  params = grow(small, start, lambda: start)
  assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, start)
  views, logsnr, cameras, cond_mask = dummy_inputs(SIZE, batch_size=2)
  views = jax.random.normal(jax.random.key(1), views.shape)
  logsnr = jnp.broadcast_to(jnp.array([[20.0, -1.0]]), logsnr.shape)
  inputs = logsnr, cameras, ~cond_mask
  expected = answer(SMALL, small, views, *inputs)
  assert np.std(expected) > 0.1
  got = answer(large, params, enlarge(views, 2**NEW), *inputs)
  np.testing.assert_allclose(got, enlarge(expected, 2**NEW), atol=2e-4)


def test_trained_levels_get_no_random_arrays(small):
  """New levels do; attention that a trained level lacks is left out."""
  more = LARGE.clone(attn_resolutions=(2, SIZE), use_pos_emb=True)
  target = random_params(more, 1, *dummy_inputs(SIZE * 2**NEW), train=False)
  grown = flat(grow(small, target, lambda: target))
  missing = {name.split("/")[0] for name in flat(target).keys() - grown.keys()}
  first = 2 * NEW  # blocks of the new levels come before those of the old ones
  assert f"XUNetBlock_{first}" in missing
  assert "ConditioningProcessor_0" in missing


def test_patches_and_the_detail_path_stay_as_they_were():
  """All that is new is a level around them; positions are those of patches."""
  fields = {"patch_size": 2, "detail_ch": 4, "use_pos_emb": True}
  old, target = (
    random_params(model.clone(**fields), seed, *dummy_inputs(size), train=False)
    for model, seed, size in ((SMALL, 0, 8), (LARGE, 1, 32))
  )
  grown = flat(grow(old, target, lambda: target))
  assert {n: x.shape for n, x in grown.items()} == {
    n: x.shape for n, x in flat(target).items()
  }
  for name, x in flat(old).items():
    if name.startswith("DetailPath_0"):
      np.testing.assert_array_equal(grown[name], x)
  name = "ConditioningProcessor_0/pos_emb"
  np.testing.assert_array_equal(grown[name], enlarge(flat(old)[name], 4))


def test_a_detail_path_of_another_size_starts_anew(tiny_xunet):
  """All else stays as it was trained."""
  old, target = (
    random_params(
      tiny_xunet.model.clone(patch_size=2, detail_ch=detail_ch),
      seed,
      *tiny_xunet.inputs,
      train=False,
    )
    for seed, detail_ch in ((0, 4), (1, 8))
  )
  grown = grow(old, target, lambda: target)
  for part, arrays in grown.items():
    source = target if part == "DetailPath_0" else old
    jax.tree.map(np.testing.assert_array_equal, arrays, source[part])


def test_smaller_pictures_get_the_mean_of_the_positions():
  """A larger picture of the same positions comes back as it was."""
  model = SMALL.clone(use_pos_emb=True)
  params, target = (
    random_params(model, seed, *dummy_inputs(size), train=False)
    for seed, size in ((0, 4), (1, 8))
  )
  larger = grow(params, target, lambda: target)
  again = grow(larger, params, lambda: params)
  jax.tree.map(np.testing.assert_allclose, again, params)
  name = "ConditioningProcessor_0/pos_emb"
  mixed = larger["ConditioningProcessor_0"]["pos_emb"].copy()
  mixed[0, 0] += 4.0  # one of the four that become one
  larger["ConditioningProcessor_0"]["pos_emb"] = mixed
  change = flat(grow(larger, params, lambda: params))[name] - flat(params)[name]
  np.testing.assert_allclose(change[0, 0], 1.0, rtol=1e-5)
  np.testing.assert_allclose(change.sum(), change[0, 0].sum(), rtol=1e-4)


CONCAT = {"concat_frames": True, "cross_attn_resolutions": ()}


@pytest.mark.parametrize(
  "of_both, of_patches",
  [({}, {"detail_ch": 4}), (CONCAT, {})],
  ids=["detail", "concat"],
)
def test_an_enlarged_picture_gets_the_enlarged_answer_on_patches(
  tiny_xunet, of_both, of_patches
):
  """A patch of equal pixels is a pixel, with its camera and position."""
  views, logsnr, cameras, mask = tiny_xunet.inputs
  pixels = tiny_xunet.model.clone(**of_both)
  on_patches = pixels.clone(patch_size=2, **of_patches)
  params = random_params(pixels, 0, *tiny_xunet.inputs, train=False)
  expected = answer(pixels, params, *tiny_xunet.inputs)
  assert np.std(expected) > 0.1
  inputs = enlarge(views, 2), logsnr, resize_camera(cameras, 2.0), mask
  start = jax.jit(lambda key: on_patches.init(key, *inputs, train=False))(
    jax.random.key(0)
  )["params"]
  grown = grow(params, start, lambda: start)
  assert flat(grown).keys() == flat(start).keys()
  got = answer(on_patches, grown, *inputs)
  np.testing.assert_allclose(got, enlarge(expected, 2), atol=1e-4)
