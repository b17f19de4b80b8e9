# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines that meet, nearly meet, and never do."""

import numpy as np

from threedim_jax.views.lines import nearest_point


def unit(vectors) -> np.ndarray:
  vectors = np.asarray(vectors, np.float64)
  return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_lines_through_one_point_meet_there():
  rng = np.random.default_rng(0)
  meeting = np.array([0.3, -1.0, 2.0])
  direction = unit(rng.normal(size=(5, 3)))
  on_line = meeting + rng.normal(size=(5, 1)) * direction
  point, spread = nearest_point(on_line, direction)
  np.testing.assert_allclose(point, meeting, atol=1e-12)
  assert 0.1 < spread <= 2 / 3


def test_halfway_between_skew_lines():
  on_line = np.array([[5.0, 0.0, 0.0], [0.0, 7.0, 1.0]])
  point, spread = nearest_point(on_line, unit([[1, 0, 0], [0, 1, 0]]))
  np.testing.assert_allclose(point, [0.0, 0.0, 0.5], atol=1e-12)
  np.testing.assert_allclose(spread, 0.5)


def test_parallel_lines_have_no_spread():
  on_line = np.array([[1.0, 0.0, 4.0], [-1.0, 0.0, 9.0]])
  point, spread = nearest_point(on_line, unit([[0, 0, 1], [0, 0, 1]]))
  np.testing.assert_allclose(spread, 0.0, atol=1e-12)
  np.testing.assert_allclose(point, 0.0, atol=1e-12)
