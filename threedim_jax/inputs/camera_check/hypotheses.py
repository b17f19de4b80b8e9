# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lists possible mistakes (hypotheses) in a data set's cameras; undoes them.

  for hypothesis in usual_mistakes(K, hw, with_focal=True):
    world_from_cam, K = hypothesis.undo(stored_world_from_cam, stored_K)

This module uses no JAX.
"""

from collections.abc import Callable
import dataclasses

from jaxtyping import Float
import numpy as np

Poses = Float[np.ndarray, "V 4 4"]
Ks = Float[np.ndarray, "V 3 3"]
Undo = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

# Distance of the principal point from the picture's centre, as a fraction of
# the picture's size. Above OFF_CENTRE, K may be for another picture size. Above
# FAR_OFF_CENTRE, K must be for another size: no real lens is that far off.
OFF_CENTRE = 0.02
FAR_OFF_CENTRE = 0.2


@dataclasses.dataclass(frozen=True)
class Hypothesis:
  """A possible mistake in the cameras that a data set stores.

  Attributes:
    name: description of the mistake.
    fix: instruction for correcting the stored data.
    undo: function that takes the stored `world_from_cam` and K, and returns
      both corrected for this mistake.
    is_focal: whether only the focal length is wrong. A wrong focal length
      changes only a few per cent of each silhouette, so a smaller gain in IoU
      (see `silhouettes`) is enough to report this mistake.
    mends_K: whether `undo` changes K.
  """

  name: str
  fix: str
  undo: Undo
  is_focal: bool = False
  mends_K: bool = False


STORED = Hypothesis("as stored", "", lambda poses, K: (poses, K))
_INVERTED = "poses are inverted (cam_from_world)"
_OPENGL = "OpenGL axes (y up, z backward)"
# Mirrored pictures are corrected by mirroring the axes of the cameras, not the
# pixels. Both are equivalent if the principal point is in the centre.
_POSES = (
  STORED,
  Hypothesis(
    _INVERTED,
    "store np.linalg.inv(pose)",
    lambda poses, K: (np.linalg.inv(poses), K),
  ),
  Hypothesis(
    f"poses have {_OPENGL}",
    "store pose @ np.diag([1, -1, -1, 1])",
    lambda poses, K: (poses @ _axes(1, -1, -1), K),
  ),
  Hypothesis(
    f"{_INVERTED} and have {_OPENGL}",
    "store np.linalg.inv(pose) @ np.diag([1, -1, -1, 1])",
    lambda poses, K: (np.linalg.inv(poses) @ _axes(1, -1, -1), K),
  ),
  Hypothesis(
    "poses have PyTorch3D axes (x left, y up), or pictures are turned by 180"
    " degrees",
    "store pose @ np.diag([-1, -1, 1, 1]), or image[::-1, ::-1]",
    lambda poses, K: (poses @ _axes(-1, -1, 1), K),
  ),
  Hypothesis(
    "pictures are mirrored left to right",
    "store image[:, ::-1]",
    lambda poses, K: (poses @ _axes(-1, 1, 1), K),
  ),
  Hypothesis(
    "pictures are upside down",
    "store image[::-1]",
    lambda poses, K: (poses @ _axes(1, -1, 1), K),
  ),
)


def usual_mistakes(
  K: Ks, hw: tuple[int, int], with_focal: bool
) -> list[Hypothesis]:
  """Returns `STORED` (no mistake), followed by every mistake worth testing.

  If a principal point is off the centre of its picture, the list also contains
  a wrong principal point, alone and together with each mistake in the poses.

  Args:
    K: intrinsics of all views.
    hw: height and width of the pictures, in pixels.
    with_focal: whether to include wrong focal lengths.
  """
  found = list(_POSES)
  if off_centre(K, hw) > OFF_CENTRE:
    found += [_with_K_centred(pose, K[0], hw) for pose in _POSES]
  if with_focal:
    found += [_focal(factor) for factor in (0.5, 2.0)]
  return found


def off_centre(K: Ks, hw: tuple[int, int]) -> float:
  """Returns the largest offset of a principal point from the picture's centre.

  Offsets along x are fractions of the picture's width, and offsets along y are
  fractions of the picture's height.
  """
  return float(np.abs(K[:, :2, 2] / np.array(hw[::-1]) - 0.5).max())


def _with_K_centred(
  pose: Hypothesis, K: Float[np.ndarray, "3 3"], hw: tuple[int, int]
) -> Hypothesis:
  """Combines a mistake in the poses with a mistake in the principal point.

  A principal point can be off the centre for two reasons. If K is for another
  picture size, `undo` of the returned hypothesis scales K. If the pictures were
  shifted, `undo` moves the principal point to the centre.

  Args:
    pose: the mistake in the poses, or `STORED` if there is none.
    K: intrinsics of one view; they show which of the two reasons applies.
    hw: height and width of the pictures, in pixels.
  """
  wh = np.array(hw[::-1])
  times = wh / (2 * K[:2, 2])
  alike = abs(times[0] / times[1] - 1) < OFF_CENTRE
  if resized := alike and abs(times.mean() - 1) > FAR_OFF_CENTRE:
    w, h = 2 * K[:2, 2]
    name = f"K is for pictures of {h:g} x {w:g} pixels, not {hw[0]} x {hw[1]}"
    fix = f"multiply the first two rows of K by {times[0]:.4g}"
  else:
    cx, cy = K[:2, 2]
    name = f"the principal point ({cx:.4g}, {cy:.4g}) is off the centre"
    fix = f"store cx = {wh[0] / 2:g}, cy = {wh[1] / 2:g}"

  def undo(poses: Poses, K: Ks) -> tuple[Poses, Ks]:
    K = K.copy()
    if resized:
      K[:, :2] *= (wh / (2 * K[:, :2, 2]))[:, :, None]
    else:
      K[:, :2, 2] = wh / 2
    return pose.undo(poses, K)

  if pose is not STORED:
    name, fix = f"{pose.name}, and {name}", f"{pose.fix}, and {fix}"
  return Hypothesis(name, fix, undo, mends_K=True)


def _focal(factor: float) -> Hypothesis:
  def undo(poses: Poses, K: Ks) -> tuple[Poses, Ks]:
    K = K.copy()
    K[:, [0, 1], [0, 1]] *= factor
    return poses, K

  return Hypothesis(
    f"the focal length is about {1 / factor:g} times the true one",
    f"multiply K[0, 0] and K[1, 1] by about {factor:g}",
    undo,
    is_focal=True,
    mends_K=True,
  )


def _axes(*signs: int) -> Float[np.ndarray, "4 4"]:
  return np.diag([*signs, 1.0])
