# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks whether the cameras of a data set match its pictures. Uses no JAX.

  report = check_cameras([PosedViews(images_u8, world_from_cam, K)])
  report.faults  # the failed checks; empty if all is well

In each picture, the pixels that show the object form its silhouette. If the
cameras are right, a single solid fills the silhouettes of all views. The module
`silhouettes` computes this solid (the visual hull) and measures how well the
hull fills the silhouettes, as an IoU (intersection over union). Then
`check_cameras` tries out corrections of common mistakes, such as inverted
poses, one at a time. If a correction makes the hull fit clearly better, the
report says that the data set has this mistake.

The background must be white. `check_cameras` cannot find
- a wrong scale or orientation of the world;
- a mirrored world, for example if all pictures of an orbit at elevation 0 are
  upside down;
- a rotation or reflection that leaves the object's shape unchanged;
- a wrong focal length alone, unless it is about half or twice the true one for
  most objects.

White parts at an object's edge count as background. If any object has fewer
than twelve views, `check_cameras` finds only inverted poses, wrong camera axes
and intrinsics (K) that were written for another picture size.
"""

from collections.abc import Sequence
import dataclasses
from typing import Literal

from jaxtyping import Float
import numpy as np

from threedim_jax.inputs.camera_check import silhouettes
from threedim_jax.inputs.camera_check.hypotheses import (
  FAR_OFF_CENTRE,
  OFF_CENTRE,
  STORED,
  Hypothesis,
  off_centre,
  usual_mistakes,
)
from threedim_jax.inputs.camera_check.silhouettes import Sphere
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.posed_views import PosedViews, check_pose

# Lowest IoU of hull and silhouettes that counts as a match. On chairs and cars
# of 16 to 128 pixels, right cameras give 0.77 to 0.95 with 24 views and 0.65 to
# 0.90 with 4 views. Shuffled cameras give 0.2 to 0.7.
FLOOR, FLOOR_FEW_VIEWS = 0.75, 0.6
MANY_VIEWS = 12
# A mistake counts as found if undoing it raises the IoU by more than this.
MARGIN, FOCAL_MARGIN = 0.05, 0.03
_BLANK = 1e-3  # a view with a smaller share of foreground pixels is blank
# Ratios of two objects' camera distances that are worth a note, and a fault.
_FAR_RATIO, _UNITS_RATIO = 2.0, 5.0
# Test cameras may be this much nearer or farther than all training cameras.
_OUTSIDE = 1.1


@dataclasses.dataclass(frozen=True)
class Check:
  """One line of the report: a check, its verdict and an explanation.

  A "note" deserves the user's attention but is not a fault.
  """

  name: str
  verdict: Literal["ok", "note", "fault"]
  text: str


@dataclasses.dataclass(frozen=True)
class Report:
  """The result of `check_cameras`.

  Attributes:
    checks: lines of the report, in the order in which they are printed.
    iou: {name of a possible mistake: {object id: IoU}}. The IoU (intersection
      over union) says how well the object's visual hull fits its silhouettes
      after the mistake is undone.
    best: the most likely mistake, or `STORED` if no mistake was found.
    spheres: {object id: bounding sphere}, computed with the stored cameras.
      Objects without usable silhouettes are missing.
    best_spheres: {object id: bounding sphere}, computed after the mistake
      `best` is undone.
    distances: {object id: distance of each of its cameras from the centre of
      its bounding sphere}; empty if the stored cameras are wrong.
  """

  checks: list[Check]
  iou: dict[str, dict[str, float]]
  best: Hypothesis
  spheres: dict[str, Sphere]
  best_spheres: dict[str, Sphere]
  distances: dict[str, Float[np.ndarray, " V"]]

  @property
  def faults(self) -> list[Check]:
    return [check for check in self.checks if check.verdict == "fault"]


def check_cameras(objects: Sequence[PosedViews]) -> Report:
  """Runs all checks on the views of one or more objects."""
  poses, background = check_poses(objects), check_background(objects)
  found = [silhouettes.small_masks(o.images_u8) for o in objects]
  masks = [m for m, _ in found]
  checks = [poses, background, check_objects_seen(objects, masks)]
  seen = [_Seen.of(o, *f) for o, f in zip(objects, found, strict=True)]
  seen = [s for s in seen if len(s.masks) > 1]
  unusable = (poses, background, check_K(objects, trusted=True))
  if any(c.verdict == "fault" for c in unusable) or not seen:
    checks.append(check_K(objects, trusted=False))
    return Report(checks, {}, STORED, {}, {}, {})
  num_views = min(len(s.masks) for s in seen)
  all_K = np.concatenate([s.K for s in seen])
  tried = usual_mistakes(all_K, objects[0].hw, num_views >= MANY_VIEWS)
  iou, spheres = {}, {}
  for hypothesis in tried:
    explained = {s.object_id: s.explain(hypothesis) for s in seen}
    iou[hypothesis.name] = {o: value for o, (value, _) in explained.items()}
    spheres[hypothesis.name] = {o: s for o, (_, s) in explained.items()}
  best, silhouette = judge(iou, tried, num_views)
  good = silhouette.verdict != "fault"
  checks.append(silhouette)
  K_is_judged = best.mends_K or (good and num_views >= MANY_VIEWS)
  checks.append(check_K(objects, trusted=K_is_judged))
  stored, distances = spheres[STORED.name], {}
  if good:
    distances = {s.object_id: s.distances(stored[s.object_id]) for s in seen}
    means = {o: float(of_views.mean()) for o, of_views in distances.items()}
    checks.append(check_distances(means, stored))
  return Report(checks, iou, best, stored, spheres[best.name], distances)


@dataclasses.dataclass(frozen=True)
class _Seen:
  """Cameras and silhouettes of one object; all-white views are left out."""

  object_id: str
  world_from_cam: Float[np.ndarray, "V 4 4"]
  K: Float[np.ndarray, "V 3 3"]  # in pixels of the pictures
  masks: silhouettes.Masks
  scale: Float[np.ndarray, "3 1"]  # K * scale is in pixels of the masks

  @classmethod
  def of(cls, views: PosedViews, masks, scale) -> "_Seen":
    keep = _not_blank(masks)
    poses, K = np.float64(views.world_from_cam[keep]), np.float64(views.K[keep])
    return cls(views.name, poses, K, masks[keep], scale)

  def explain(self, hypothesis: Hypothesis) -> tuple[float, Sphere]:
    poses, K = hypothesis.undo(self.world_from_cam, self.K)
    return silhouettes.explain(self.masks, poses, K * self.scale)

  def distances(self, sphere: Sphere) -> Float[np.ndarray, " V"]:
    offset = self.world_from_cam[:, :3, 3] - sphere.center
    return np.linalg.norm(offset, axis=1)


def judge(
  iou: dict[str, dict[str, float]],
  tried: Sequence[Hypothesis],
  num_views: int,
) -> tuple[Hypothesis, Check]:
  """Chooses the most likely mistake in the cameras, if any, for the report.

  Objects with white parts may have wrong silhouettes. Therefore each hypothesis
  (possible mistake) is judged by its median IoU over all objects, because a few
  wrong silhouettes hardly change a median.

  Args:
    iou: {hypothesis name: {object id: IoU of visual hull and silhouettes}}.
    tried: the hypotheses; the first is `STORED`, which stands for no mistake.
    num_views: the smallest number of views that any object has. With few views,
      a lower IoU is accepted as good.

  Returns:
    (most likely hypothesis, line about the silhouettes for the report).
  """
  name = "silhouettes"
  median = {k: float(np.median(list(v.values()))) for k, v in iou.items()}
  floor = FLOOR if num_views >= MANY_VIEWS else FLOOR_FEW_VIEWS

  def gain(h: Hypothesis) -> float:
    margin = FOCAL_MARGIN if h.is_focal else MARGIN
    return median[h.name] - median[STORED.name] - margin

  stored, others = tried[0], tried[1:]
  best = max(others, key=gain)
  text = f"one solid explains {median[stored.name]:.0%} of the silhouettes"
  if gain(best) > 0 and median[best.name] >= floor:
    text = (
      f"{best.name}: with the cameras as stored {text}, with this undone"
      f" {median[best.name]:.0%}. To mend it, {best.fix}"
    )
    return best, Check(name, "fault", text)
  low = [o for o, value in iou[stored.name].items() if value < floor]
  if median[stored.name] < floor:
    text = (
      f"{text} ({floor:.0%} are needed), and undoing any of {len(others)} usual"
      " mistakes does not help: pictures and poses do not belong together, or"
      " not in this order"
    )
    return stored, Check(name, "fault", text)
  likely = max(others, key=lambda h: median[h.name])
  text += f" (with the likeliest mistake undone {median[likely.name]:.0%})"
  if low:
    return stored, Check(name, "note", f"{text}; less of {low}: look at them")
  return stored, Check(name, "ok", text)


def check_poses(objects: Sequence[PosedViews]) -> Check:
  """Checks that all camera poses are finite rigid transforms."""
  name = "rigid poses"
  for views in objects:
    for i, pose in enumerate(np.float64(views.world_from_cam)):
      where = f"the pose of {views.name} (view {i} of those checked)"
      try:
        check_pose(pose, where)
      except UserError as e:
        return Check(name, "fault", str(e))
  count = sum(len(o.world_from_cam) for o in objects)
  return Check(name, "ok", f"{count} poses are rotations and positions")


def check_background(objects: Sequence[PosedViews]) -> Check:
  """Checks that the corners of the pictures are white.

  Other checks need a white background, because they count pixels of any other
  colour as part of the object.
  """
  corners = [o.images_u8[:, [0, 0, -1, -1], [0, -1, 0, -1]] for o in objects]
  white = (np.concatenate(corners) >= silhouettes.NOT_WHITE).all(-1).mean()
  text = f"{white:.0%} of the pictures' corners are white"
  if white < 0.5:
    text += (
      ": lay the objects over white (masks or alpha channel). The cameras"
      " cannot be checked without"
    )
    return Check("background", "fault", text)
  return Check("background", "ok" if white > 0.97 else "note", text)


def check_objects_seen(
  objects: Sequence[PosedViews], masks: Sequence[np.ndarray]
) -> Check:
  """Checks that no picture is all white.

  Args:
    masks: for each object, the silhouettes in all its views.
  """
  blank = {
    o.name: f"{(~_not_blank(m)).sum()} of {len(m)}"
    for o, m in zip(objects, masks, strict=True)
    if not _not_blank(m).all()
  }
  if blank:
    told = ", ".join(f"{key} ({count})" for key, count in blank.items())
    text = f"all-white pictures of {told}: leave these views out"
    return Check("object seen", "fault", text)
  share = np.mean([m.mean() for m in masks])
  text = f"the objects fill {share:.0%} of their pictures"
  return Check("object seen", "ok", text)


def check_K(objects: Sequence[PosedViews], trusted: bool) -> Check:
  """Checks that the intrinsics K are plausible for the size of the pictures.

  Args:
    trusted: whether to accept a principal point far from the picture's centre,
      as in a cropped picture. Pass True if the silhouettes confirm the
      principal point, or if another check reports a wrong principal point.
  """
  K, hw = np.concatenate([o.K for o in objects]), objects[0].hw
  f, off = K[:, [0, 1], [0, 1]] / max(hw), off_centre(K, hw)
  cx, cy = K[0, :2, 2]
  text = (
    f"f {K[0, 0, 0]:.4g}, principal point ({cx:.4g}, {cy:.4g}) for pictures of"
    f" {hw[0]} x {hw[1]} pixels"
  )
  if not np.isfinite(K).all() or f.min() < 0.2 or f.max() > 20:
    text += ": no camera has such a focal length (is K in pixels?)"
    return Check("K", "fault", text)
  if off > FAR_OFF_CENTRE and not trusted:
    text += (
      f": that is the centre of pictures of {2 * cy:.4g} x {2 * cx:.4g} pixels;"
      " when pictures are resized, K must be scaled with them"
    )
    return Check("K", "fault", text)
  if off > OFF_CENTRE:
    return Check("K", "note", f"{text}: {off:.0%} off the centre")
  return Check("K", "ok", text)


def check_distances(
  distance: dict[str, float], spheres: dict[str, Sphere]
) -> Check:
  """Checks that the distance from camera to object is similar for all objects.

  If they differ five times, the objects use different units of length. A note
  tells the user if they differ twice, or if an object lies away from the
  world's origin.

  Args:
    distance: {object id: mean distance of its cameras}.
    spheres: {object id: bounding sphere of the object}.
  """
  radii = [sphere.radius for sphere in spheres.values()]
  near, far = (f(distance, key=distance.get) for f in (min, max))
  text = (
    f"cameras are {distance[near]:.3g} to {distance[far]:.3g} from the objects,"
    f" whose radius is {min(radii):.2g} to {max(radii):.2g}"
  )
  ratio = distance[far] / distance[near]
  if ratio > _UNITS_RATIO:
    text += f": those of {far} and {near} have different units of length"
    return Check("distances", "fault", text)
  if ratio > _FAR_RATIO:
    text += (
      f": those of {far} are {ratio:.1f} times as far as those of {near}, or"
      " have another unit of length"
    )
    return Check("distances", "note", text)
  away = max(np.linalg.norm(s.center) / s.radius for s in spheres.values())
  if away > 1:
    text += "; the objects do not lie at the origin of the world"
    return Check("distances", "note", text)
  return Check("distances", "ok", text)


def check_test_range(
  train: Float[np.ndarray, " N"],
  test: Float[np.ndarray, " M"],
  advice: str = "",
) -> Check:
  """Checks that the test cameras are as far away as the training cameras.

  The test cameras of SRN chairs are not (3DiM sec. 5). A network that is scored
  there is asked for distances that it has never seen.

  Args:
    train, test: distances between objects and cameras, of all views together.
    advice: what to add if the test cameras are outside the training range.
  """
  text = (
    f"cameras of test objects are {test.min():.3g} to {test.max():.3g} away,"
    f" those of training objects {train.min():.3g} to {train.max():.3g}"
  )
  too_near = test.min() < train.min() / _OUTSIDE
  if too_near or test.max() > _OUTSIDE * train.max():
    text += (
      ": test cameras are outside the training range. Scores then also measure"
      f" how well a network copes with new distances.{advice}"
    )
    return Check("splits", "note", text)
  return Check("splits", "ok", text)


def _not_blank(masks: silhouettes.Masks) -> np.ndarray:
  return masks.mean((1, 2)) > _BLANK
