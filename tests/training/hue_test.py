# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Hue augmentation, against known colours and against `colorsys`."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np

from configs import shapenet
from threedim_jax.models import make_init_fn
from threedim_jax.training.hue import augment_hue, turn_hue
from threedim_jax.training.setup import make_loss_fn
from threedim_jax.views.cameras import Camera
from threedim_jax.views.pair_batch import PairBatch, batch_shapes


def test_equals_colorsys():
  """In each image by its own turn, to within rounding."""
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
  turns = np.float32([0.1, 0.55, 0.97])
  turned = np.asarray(turn_hue(jnp.asarray(images), jnp.asarray(turns)))
  assert turned.dtype == np.uint8
  for image, turn, result in zip(images, turns, turned, strict=True):
    for before, after in zip(
      image.reshape(-1, 3), result.reshape(-1, 3), strict=True
    ):
      h, s, v = colorsys.rgb_to_hsv(*(before / 255.0))
      expected = 255 * np.array(colorsys.hsv_to_rgb((h + turn) % 1.0, s, v))
      np.testing.assert_allclose(after, expected, atol=0.51)


def test_both_views_of_a_pair_get_one_hue():
  """Pairs of the same picture stay so; each pair has a hue of its own."""
  red = jnp.zeros((64, 1, 1, 3), jnp.uint8).at[..., 0].set(255)
  pose, K = jnp.tile(jnp.eye(4), (64, 1, 1)), jnp.tile(jnp.eye(3), (64, 1, 1))
  batch = PairBatch(red, red, Camera(pose, K), Camera(2 * pose, K))
  turned = augment_hue(batch, jax.random.key(0))
  np.testing.assert_array_equal(turned.cond_view, turned.target_view)
  first = np.asarray(turned.cond_view)[:, 0, 0]
  assert len(np.unique(first, axis=0)) > 50
  assert (np.max(first, axis=1) == 255).all() and (first.min(1) == 0).all()
  # Every channel is the strongest in a third of the pairs.
  assert all(10 < np.sum(first[:, c] == 255) < 40 for c in range(3))
  assert turned.target_cam is batch.target_cam


def test_the_loss_sees_turned_hues_only_if_the_configuration_says_so():
  """Grey pictures have no hue to turn, so nothing else differs."""
  config = shapenet.get_config("debug")
  params = jax.eval_shape(make_init_fn(config), jax.random.key(0))
  params = jax.tree.map(lambda x: jnp.full(x.shape, 0.01, x.dtype), params)
  shapes = batch_shapes(config.data.resolution, 2)

  def loss(color, turn):
    config.data.hue_augmentation = turn
    batch = jax.tree.map(
      lambda x: jnp.broadcast_to(
        jnp.eye(*x.shape[-2:], dtype=x.dtype)
        if x.shape[-1] == x.shape[-2]
        else jnp.asarray(color, x.dtype),
        x.shape,
      ),
      shapes,
    )
    return float(make_loss_fn(config)(params, batch, jax.random.key(1))[0])

  grey, red = (90, 90, 90), (200, 40, 40)
  assert loss(grey, True) == loss(grey, False)
  assert loss(red, True) != loss(red, False)
