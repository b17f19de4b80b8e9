# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From an object's generated views to its folder, and whether that is there.

The views' true pictures are kept and compared where they are known: those of a
data set are, those of somebody's own picture are not.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from absl import logging
from etils import epath
import numpy as np

from threedim_jax.runtime.errors import UserError
from threedim_jax.views import metrics
from threedim_jax.views.pixels import to_u8
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir import samples
from threedim_jax.workdir.protocol import Request


@runtime_checkable  # for the type checks under pytest
class ObjectViews(Protocol):
  """What generating needs of `view_source.Views`."""

  has_truth: bool  # of the views to generate

  def object(self, object_id: str, views: tuple[int, ...]) -> PosedViews:
    """The views; white pictures where none are known."""
    ...


def write_object(
  views: ObjectViews,
  request: Request,
  generated: np.ndarray,
  facts: Mapping[str, Any],
  samples_dir: epath.PathLike,
) -> None:
  """One object's folder; `generated` in [-1, 1], before it is rounded."""
  given = views.object(request.object_id, request.input_views)
  wanted = views.object(request.object_id, request.target_views)
  scores = {}
  if views.has_truth:
    # Only here are the floats at hand that the PNG files round.
    psnr = metrics.psnr(
      np.clip((generated + 1) / 2, 0, 1), np.float32(wanted.images_u8 / 255)
    )
    scores = {"psnr": [round(float(x), 5) for x in psnr]}
  samples.write_sample(
    samples_dir,
    samples.ObjectSamples(
      object_id=request.object_id,
      given=given,
      generated=wanted.with_images(to_u8(generated)),
      truth=wanted if views.has_truth else None,
      info={**facts, **scores},
    ),
  )


def is_done(
  views: ObjectViews,
  request: Request,
  folder: epath.PathLike,
  facts: Mapping[str, Any],
) -> bool:
  """Complete, and of this very request, checkpoint, sampler and data."""
  if not samples.is_complete(folder):
    return False
  try:
    sampled = samples.read_sample(folder)
  except UserError as e:
    logging.warning("%s is made again: %s", folder, e)
    return False
  given = views.object(request.object_id, request.input_views)
  wanted = views.object(request.object_id, request.target_views)
  same = (
    tuple(sampled.generated.index) == request.target_views
    and tuple(sampled.given.index) == request.input_views
    and facts.items() <= sampled.info.items()
    and np.array_equal(sampled.given.images_u8, given.images_u8)
    and np.array_equal(sampled.generated.world_from_cam, wanted.world_from_cam)
    and np.array_equal(sampled.generated.K, wanted.K)
  )
  if not views.has_truth:
    return same and sampled.truth is None
  # Without "psnr" it was written by an earlier version.
  return (
    same
    and "psnr" in sampled.info
    and sampled.truth is not None
    and np.array_equal(sampled.truth.images_u8, wanted.images_u8)
  )
