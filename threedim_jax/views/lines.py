# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the point that is nearest to several 3D lines.

point, spread = nearest_point(positions, directions)
"""

from jaxtyping import Float
import numpy as np

Points = Float[np.ndarray, "N 3"]


def nearest_point(
  on_line: Points, direction: Points
) -> tuple[Float[np.ndarray, "3"], float]:
  """Finds the point with the least sum of squared distances to several lines.

  Args:
    on_line: a point on each line.
    direction: unit vector along each line.

  Returns:
    (point, spread). The spread says how well the lines determine the point: it
    is 2/3 at best, and 0 if the lines are parallel. For parallel lines many
    points are equally near; the function returns the one nearest to the origin.
  """
  across = np.eye(3) - direction[:, :, None] * direction[:, None, :]
  target = np.einsum("nij,nj->i", across, on_line)
  point = np.linalg.lstsq(across.sum(axis=0), target, rcond=None)[0]
  return point, float(np.linalg.eigvalsh(across.mean(axis=0))[0])
