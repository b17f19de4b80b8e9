# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where lines meet, as nearly as they do.

point, spread = nearest_point(positions, directions)
"""

from jaxtyping import Float
import numpy as np

Points = Float[np.ndarray, "N 3"]


def nearest_point(
  on_line: Points, direction: Points
) -> tuple[Float[np.ndarray, "3"], float]:
  """The point whose squared distances to the lines have the least sum.

  Args:
    on_line: a point of each.
    direction: of each, of length 1.

  Returns:
    (The point, how well the lines fix it: 0 if they are parallel, when it is
    that of the points which is nearest to the origin, 2/3 at best).
  """
  across = np.eye(3) - direction[:, :, None] * direction[:, None, :]
  target = np.einsum("nij,nj->i", across, on_line)
  point = np.linalg.lstsq(across.sum(axis=0), target, rcond=None)[0]
  return point, float(np.linalg.eigvalsh(across.mean(axis=0))[0])
