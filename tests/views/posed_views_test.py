# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Posed views: indexing, joining, and what is refused when one is made."""

import dataclasses

import numpy as np
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths
from threedim_jax.views.posed_views import PosedViews

N = 4


@pytest.fixture
def views():
  rng = np.random.default_rng(0)
  images_u8 = rng.integers(0, 256, (N, 6, 8, 3), np.uint8)
  K = np.tile(camera_paths.default_K(8), (N, 1, 1))
  return PosedViews(images_u8, camera_paths.orbit(N, 20, 2.0), K, name="cup")


def test_indexing_and_joining_keep_pictures_with_their_cameras(views):
  assert len(views) == N and views.hw == (6, 8)
  assert views.index.tolist() == [-1] * N
  views = dataclasses.replace(views, index=np.arange(N, dtype=np.int32))
  for chosen in (slice(1, 3), [3, 0], (2,)):
    some = views[chosen] + views[:1]
    order = [*np.arange(N)[chosen if isinstance(chosen, slice) else [*chosen]]]
    order.append(0)
    assert some.index.tolist() == order and some.name == "cup"
    for field in ("images_u8", "world_from_cam", "K"):
      np.testing.assert_array_equal(
        getattr(some, field), getattr(views, field)[order]
      )
  cameras = views[1:].cameras()
  np.testing.assert_array_equal(cameras.K, views.K[1:])
  np.testing.assert_array_equal(
    cameras.world_from_cam, views.world_from_cam[1:]
  )
  white = views.with_images(np.full_like(views.images_u8, 255))
  assert (white.images_u8 == 255).all() and white.K is views.K


@pytest.mark.parametrize(
  "field, change, message",
  [
    ("world_from_cam", np.diag([1.0, 1, -1, 1]), "mirrored"),
    ("world_from_cam", np.diag([1.0, 1, 1.01, 1]), "no rotation"),
    ("world_from_cam", np.diag([1.0, 1, np.nan, 1]), "not finite"),
    ("world_from_cam", np.diag([1.0, 1, 1, 2]), "last row"),
    ("K", np.diag([-1.0, 1, 1]), "positive focal lengths"),
    ("K", np.diag([1.0, np.nan, 1]), "positive focal lengths"),
  ],
)
def test_impossible_cameras_are_refused_by_name(views, field, change, message):
  array = getattr(views, field).copy()
  array[2] = array[2] @ change
  with pytest.raises(UserError, match=f"{field} of cup, view 2 .*{message}"):
    dataclasses.replace(views, **{field: array})
  dataclasses.replace(views, **{field: array}, checked=False)


def test_arrays_that_do_not_belong_together_are_refused(views):
  with pytest.raises((UserError, TypeError)) as error:
    dataclasses.replace(views, K=views.K[:3])
  # Under pytest jaxtyping's hook may see it first.
  if isinstance(error.value, UserError):
    assert "cup: K has the shape (3, 3, 3)" in str(error.value)


def test_a_rounded_rotation_is_accepted(views):
  rounded = views.world_from_cam.round(4)
  dataclasses.replace(views, world_from_cam=rounded)
