# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The input of the sampler for one object: known views and target cameras."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from jaxtyping import Int, UInt8
import numpy as np

from threedim_jax.inputs.view_source import Views
from threedim_jax.views.cameras import Camera
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir.protocol import Request
from threedim_jax.workdir.samples import ObjectSamples


@dataclasses.dataclass(frozen=True)
class Scene:
  """The known views of an object, and the cameras of the views to generate.

  Attributes:
    given: the known views. `given.name` holds the object's id.
    targets: cameras of the N views to generate.
    index: number of each target view in its data set, or simply 1, 2, ... if
      the known view is a user's photo.
    truth: the true pictures of the target views, or None if unknown.
  """

  given: PosedViews
  targets: Camera
  index: Int[np.ndarray, " N"]
  truth: PosedViews | None = None

  def samples(
    self, images_u8: UInt8[np.ndarray, "n H W 3"], info: Mapping[str, Any]
  ) -> ObjectSamples:
    """Combines n generated pictures with the cameras of the first n targets.

    If only some of the N views have been generated so far, n is less than N.

    Args:
      images_u8: the generated pictures, in the order of `targets`.
      info: facts to store with the samples, such as the sampler settings.
    """
    n = len(images_u8)
    poses, K = self.targets.world_from_cam[:n], self.targets.K[:n]
    name = self.given.name
    return ObjectSamples(
      object_id=name,
      given=self.given,
      generated=PosedViews(images_u8, poses, K, self.index[:n], name),
      truth=self.truth,
      info=dict(info),
    )


def read_scene(views: Views, request: Request) -> Scene:
  """Reads a `Scene`: the given views and the true target views of a request.

  Args:
    views: the data set to read from.
    request: the object, its given views and its views to generate.
  """
  truth = views.object(request.object_id, request.target_views)
  given = views.object(request.object_id, request.input_views)
  return Scene(given, truth.cameras(), truth.index, truth)
