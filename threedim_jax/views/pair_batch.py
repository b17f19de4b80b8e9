# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Defines the training batch: pairs of posed views."""

from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt8

from threedim_jax.views.cameras import Camera


@no_type_check  # for the reason given at `views.cameras.Camera`
@flax.struct.dataclass
class PairBatch:
  """A training batch of B pairs of views; both views of a pair show one object.

  Attributes:
    cond_view: the conditioning views, which the network is given.
    target_view: the views that the network learns to predict.
    cond_cam: cameras of the conditioning views, [B].
    target_cam: cameras of the target views, [B].
  """

  cond_view: UInt8[Array, "B H W 3"]
  target_view: UInt8[Array, "B H W 3"]
  cond_cam: Camera
  target_cam: Camera


def batch_shapes(resolution: int, batch_size: int) -> PairBatch:
  """Returns a `PairBatch` of `jax.ShapeDtypeStruct`s, to compile without data.

  Args:
    resolution: height and width of the views, in pixels.
  """
  shape = jax.ShapeDtypeStruct
  view = shape((batch_size, resolution, resolution, 3), jnp.uint8)
  camera = Camera(
    shape((batch_size, 4, 4), jnp.float32),
    shape((batch_size, 3, 3), jnp.float32),
  )
  return PairBatch(view, view, camera, camera)
