# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""transforms.json: what other readers get is what was written."""

import json
import math

import numpy as np

from threedim_jax.inputs.posed_images import list_frames, read_posed_images
from threedim_jax.views import camera_paths
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir.samples import ObjectSamples, write_sample
from threedim_jax.workdir.transforms_json import write_transforms


def test_transforms_round_trip(tmp_path):
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (5, 12, 16, 3), np.uint8)
  poses = np.float32(camera_paths.srn_spiral(5, 1.7))
  K = np.float32([[20.0, 0, 7.5], [0, 21.0, 6.5], [0, 0, 1]])
  K = np.repeat(K[None], 5, axis=0)
  views = PosedViews(images, poses, K, np.int32([0, 1, 4, 5, 6]))
  sampled = ObjectSamples(object_id="cup", given=views[:2], generated=views[2:])
  folder = write_sample(tmp_path, sampled)
  path = write_transforms(folder, sampled)
  names = [frame.name for frame in list_frames(folder)]
  assert names == ["000", "001", "002", "input_000", "input_001"]
  posed = read_posed_images(folder)
  order = [2, 3, 4, 0, 1]
  np.testing.assert_array_equal(posed.images_u8, images[order])
  np.testing.assert_allclose(posed.world_from_cam, poses[order], atol=1e-6)
  np.testing.assert_array_equal(posed.K, K[order])
  content = json.loads(path.read_text())
  assert [f["given"] for f in content["frames"]] == [True] * 2 + [False] * 3
  assert content["camera_angle_x"] == 2 * math.atan(8 / 20)
  # OpenGL: the camera looks along its -z, which is towards the origin.
  matrix = np.array(content["frames"][0]["transform_matrix"])
  towards = -matrix[:3, 3] / np.linalg.norm(matrix[:3, 3])
  np.testing.assert_allclose(-matrix[:3, 2], towards, atol=1e-6)
  assert matrix[2, 1] > 0, "y is up"


def test_a_skew_is_not_lost_silently(tmp_path, capsys):
  K = np.float32([[20.0, 3.0, 7.5], [0, 20.0, 6.5], [0, 0, 1]])[None]
  views = PosedViews(
    np.zeros((1, 12, 16, 3), np.uint8),
    np.float32(camera_paths.srn_spiral(1, 1.7)),
    K,
    np.int32([0]),
  )
  sampled = ObjectSamples(object_id="cup", given=views, generated=views)
  write_transforms(write_sample(tmp_path, sampled), sampled)
  assert "lacks the skew" in capsys.readouterr().err
