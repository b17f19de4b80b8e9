# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Hue augmentation: changes the hue of training pairs, on the device.

3DiM uses hue augmentation for the model that is trained on all of ShapeNet.
Both views of a pair change in the same way: otherwise the conditioning view
would not show the target's colour.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt8

from threedim_jax.views.pair_batch import PairBatch


def augment_hue(batch: PairBatch, rng: Key[Array, ""]) -> PairBatch:
  """Rotates the hue of each pair of views by a random angle.

  The angle is uniform over the full circle, and the same for both views.
  """
  turn = jax.random.uniform(rng, batch.target_view.shape[:1])
  return batch.replace(
    cond_view=turn_hue(batch.cond_view, turn),
    target_view=turn_hue(batch.target_view, turn),
  )


def turn_hue(
  images_u8: UInt8[Array, "B H W 3"], turn: Float[Array, " B"]
) -> UInt8[Array, "B H W 3"]:
  """Rotates the hue of RGB pictures in the HSV colour space.

  Saturation and value do not change, so white stays white.

  Args:
    images_u8: RGB pictures.
    turn: angle for each picture, in full turns; 1/3 turns red into green.
  """
  image = images_u8.astype(jnp.float32)
  r, g, b = image[..., 0], image[..., 1], image[..., 2]
  value = jnp.max(image, axis=-1)
  chroma = value - jnp.min(image, axis=-1)
  of_one = jnp.where(chroma > 0, chroma, 1.0)
  # The hue in sixths of a turn: red 0, green 2, blue 4.
  hue = jnp.where(
    value == r,
    (g - b) / of_one,
    jnp.where(value == g, 2.0 + (b - r) / of_one, 4.0 + (r - g) / of_one),
  )
  hue = hue + 6.0 * turn[:, None, None]
  # A channel equals `value` within a sixth of a turn around its own hue, and
  # falls by `chroma` over the next sixth.
  from_channel = jnp.stack([hue, hue - 2.0, hue - 4.0], axis=-1)
  distance = (from_channel + 3.0) % 6.0 - 3.0
  share = jnp.clip(jnp.abs(distance) - 1.0, 0.0, 1.0)
  turned = value[..., None] - chroma[..., None] * share
  return jnp.round(turned).astype(jnp.uint8)
