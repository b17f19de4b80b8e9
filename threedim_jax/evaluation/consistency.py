# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures whether the views of an object agree with each other in 3D.

  source = samples_source("W/samples", num_views=100)  # W is the workdir
  view_sets = source["chair_7"].load()
  for fitted in fit_sets(view_sets, PROTOCOLS["consistency-v1"]):
    fitted.row()  # {"psnr_u8": ..., "ssim_gauss11": ..., ...}

As in 3DiM (sec. 4), a neural field is fitted to some views of an object.
Renders of the field are then compared with the other, held-out views. The
field's colours do not depend on the viewing direction, so the field cannot fit
views that contradict each other.

A protocol is a named group of settings. `consistency-v1` is our own protocol;
it fits a dense grid in seconds. `consistency-3dim` is the paper's protocol
(sec. 7.4); it takes minutes to hours. Results state the protocol's name and
every setting that was changed.

Three more numbers help to interpret a score. The score of the true views is the
ceiling, because the field does not fit even the true views perfectly. The score
of all-white renders is the floor. `psnr_input_u8` compares the given (input)
view, from which the other views were generated, with a render of the field from
the same camera. A low value exposes generated views that agree with each other
but ignore the given view.
"""

from collections.abc import Callable, Sequence
import dataclasses
import hashlib
from typing import Any

import jax
from jaxtyping import Int, UInt8
import numpy as np

from threedim_jax.evaluation.fields.field import FieldConfig
from threedim_jax.evaluation.fields.fit import fit_fields, render_views
from threedim_jax.evaluation.fields.hash_field import HashFieldConfig
from threedim_jax.evaluation.truth_scores import SSIM_VARIANTS
from threedim_jax.evaluation.view_sets import ScoredViews
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import metrics
from threedim_jax.views.pixels import to_u8
from threedim_jax.views.posed_views import PosedViews

# The SRN protocol gives the model view 64 of 251. The held-out views are
# np.random.default_rng(0).choice(251, 25, replace=False), sorted.
GIVEN_OF_251 = 64
HELD_OUT_OF_251 = (
  *(0, 3, 9, 17, 41, 62, 68, 71, 98, 117, 120, 132, 137),
  *(145, 153, 167, 176, 191, 193, 202, 217, 230, 233, 239, 242),
)
_CHANGES = {  # how the protocol's name states a changed setting
  "num_views": "at most {} views",
  "hold_out_every": "one in {} held out",
  "fit_given": "given view fitted",
  "num_steps": "{} steps",
  "seed": "seed {}",
}
VARIANTS = {
  "psnr_u8": "held-out views against 8-bit renders of the field",
  "psnr_fg_u8": "the same over pixels that are not white in one of the two",
  **SSIM_VARIANTS,
  "psnr_input_u8": "field at the input pose against the input view",
}
# Each metric with the smallest height or width of pictures that it can compare.
VIEW_METRICS = {
  metrics.psnr_u8: 1,
  metrics.psnr_fg_u8: 1,
  metrics.ssim_gauss11: 11,
  metrics.ssim_gauss11_snapped: 11,
  metrics.ssim_skimage7: 7,
}
# Index of the first held-out view, if `hold_out_every` is set. The views before
# it are fitted, because no other views precede them on the camera path.
FIRST_HELD_OUT = 5


@dataclasses.dataclass(frozen=True)
class ConsistencyProtocol:
  """Settings that define a consistency score.

  Scores with different settings are not comparable.

  Attributes:
    base: name of the entry in `PROTOCOLS` that these settings started from. The
      base also decides which kind of field is fitted.
    num_views: use at most this many views per object, evenly spaced.
    hold_out_every: hold out every n-th view, where n is this number. None: hold
      out a fixed random choice, which is 25 of SRN's 251 views, or a tenth of
      any other number of views.
    fit_given: whether to fit the field also to the given (input) view, if that
      view is known. Views that do not match the given view then score lower.
    num_steps: number of training steps of the field.
    seed: random seed for fitting the field.
  """

  base: str = "consistency-v1"
  num_views: int = 100
  hold_out_every: int | None = 10
  fit_given: bool = False
  num_steps: int = 1000
  seed: int = 0

  @property
  def name(self) -> str:
    """The name of the base protocol, then every setting that was changed.

    An example is "consistency-v1, 300 steps". The name of `consistency-3dim`
    also contains a hash of the settings in `HashFieldConfig`. The paper does
    not state these settings, and changing one of them changes the scores.
    """
    start, name = PROTOCOLS[self.base], self.base
    if self.uses_hash_field:
      settings = [
        dataclasses.asdict(HashFieldConfig.for_size(n)) for n in (32, 64, 128)
      ]
      name += "-" + hashlib.sha256(str(settings).encode()).hexdigest()[:6]
    changed = [
      _CHANGES[field.name].format(value)
      for field in dataclasses.fields(self)
      if (value := getattr(self, field.name)) != getattr(start, field.name)
    ]
    return ", ".join([name, *changed])

  @property
  def uses_hash_field(self) -> bool:
    return self.base == "consistency-3dim"

  def field_config(self, size: int) -> FieldConfig | HashFieldConfig:
    """Returns the settings of the field for views of `size` x `size` pixels."""
    kind = HashFieldConfig if self.uses_hash_field else FieldConfig
    return kind.for_size(size)

  def settings(self) -> dict[str, Any]:
    """Returns the protocol's name and all settings, for use in result files."""
    return {"name": self.name, **dataclasses.asdict(self)}

  def held_out(
    self, num_views: int, how_to_get_more: str = ""
  ) -> Int[np.ndarray, " M"]:
    """Returns the indices of the M views that the field is not fitted to.

    If `hold_out_every` is None, 251 views are taken to be SRN's views of an
    object, and 250 views to be the same without view 64, SRN's given view.

    Args:
      num_views: number of views of the object.
      how_to_get_more: sentence for the end of the error message.

    Raises:
      UserError: there are fewer than six views.
    """
    if num_views <= FIRST_HELD_OUT:
      raise UserError(
        f"a consistency score of {num_views} views means nothing: it needs at"
        f" least {FIRST_HELD_OUT + 1} views, better {self.num_views}."
        f"{how_to_get_more}"
      )
    if self.hold_out_every is not None:
      return np.arange(FIRST_HELD_OUT, num_views, self.hold_out_every)
    if num_views in (250, 251):
      numbers = np.arange(251)
      if num_views == 250:
        numbers = np.delete(numbers, GIVEN_OF_251)
      return np.flatnonzero(np.isin(numbers, HELD_OUT_OF_251))
    count = max(1, round(num_views / 10))
    draw = np.random.default_rng(0).choice(num_views, count, replace=False)
    return np.sort(draw)


PROTOCOLS = {
  "consistency-v1": ConsistencyProtocol(),
  "consistency-3dim": ConsistencyProtocol(  # 3DiM, sec. 4 and 7.4
    base="consistency-3dim", num_views=251, hold_out_every=None, fit_given=True
  ),
}


@dataclasses.dataclass(frozen=True)
class Fitted:
  """The result of fitting a field to the views of one object.

  Attributes:
    view_set: all views of the object, including the held-out views.
    held_out: indices of the M held-out views, which the fit did not use.
    renders_u8: renders of the field from the cameras of the held-out views.
    input_render_u8: render of the field from the camera of the given (input)
      view; None if the given view is unknown.
  """

  view_set: ScoredViews
  held_out: Int[np.ndarray, " M"]
  renders_u8: UInt8[np.ndarray, "M H W 3"]
  input_render_u8: UInt8[np.ndarray, "H W 3"] | None

  @property
  def held_out_u8(self) -> UInt8[np.ndarray, "M H W 3"]:
    return self.view_set.views.images_u8[self.held_out]

  def row(self) -> dict[str, float]:
    """Returns the renders' scores: {metric: mean over the held-out views}.

    The mean skips infinite and NaN values. An SSIM score is missing if views
    are smaller than its window. `psnr_input_u8` is not a mean: it compares only
    the given view with the render from its camera, and may be infinite.
    """
    size = min(self.renders_u8.shape[1:3])
    usable = [m for m, least in VIEW_METRICS.items() if size >= least]
    scores = metrics.score_views(usable, self.renders_u8, self.held_out_u8)
    row = {name: _mean(values) for name, values in scores.items()}
    if self.input_render_u8 is not None:
      given = self.view_set.given.images_u8[:1]
      scores = metrics.score_views(
        [metrics.psnr_u8], self.input_render_u8[None], given
      )
      row["psnr_input_u8"] = float(scores["psnr_u8"][0])
    return row

  def as_white(self) -> "Fitted":
    """Returns a copy with all-white renders, whose score is the floor."""
    given = self.input_render_u8
    return dataclasses.replace(
      self,
      renders_u8=np.full_like(self.renders_u8, 255),
      input_render_u8=None if given is None else np.full_like(given, 255),
    )


def fit_sets(
  view_sets: Sequence[ScoredViews],
  protocol: ConsistencyProtocol,
  on_steps: Callable[[int], None] | None = None,
) -> list[Fitted]:
  """Fits a field to each set of views, and renders the held-out views.

  All sets are fitted in one batch.

  Args:
    view_sets: all sets have the same number of views, and all views have the
      same size. Either every set has a given view, or no set has one.
    on_steps: called repeatedly during the fit, with the number of steps done
      since the last call.

  Returns:
    One `Fitted` for each set, in the same order.

  Raises:
    UserError: a set has fewer than six views, or an object's position cannot be
      found from its cameras.
  """
  num_views, hw = len(view_sets[0].views), view_sets[0].views.hw
  held_out = protocol.held_out(num_views)
  fitted = np.setdiff1d(np.arange(num_views), held_out)
  with_input = view_sets[0].given is not None
  fit_given = with_input and protocol.fit_given
  train, shown = [], []
  for each in view_sets:
    given = each.given[:1] if with_input else each.views[:0]
    train.append(each.views[fitted] + (given if fit_given else given[:0]))
    shown.append(each.views[held_out] + given)
  fields = fit_fields(
    _stack(train, "images_u8"),
    _stack(train, "world_from_cam"),
    _stack(train, "K"),
    config=protocol.field_config(max(hw)),
    num_steps=protocol.num_steps,
    rng=jax.random.key(protocol.seed),
    on_steps=on_steps,
  )
  renders = render_views(
    fields, _stack(shown, "world_from_cam"), _stack(shown, "K"), hw
  )
  renders_u8 = to_u8(np.asarray(renders) * 2 - 1)
  count = len(held_out)
  return [
    Fitted(s, held_out, r[:count], r[count] if with_input else None)
    for s, r in zip(view_sets, renders_u8, strict=True)
  ]


def _stack(views: Sequence[PosedViews], name: str) -> np.ndarray:
  return np.stack([getattr(v, name) for v in views])


def _mean(values: np.ndarray) -> float:
  """Returns the mean of the finite values, or NaN if no value is finite.

  For example, `psnr_fg_u8` is NaN if both pictures are white, because it
  compares only pixels that are not white in at least one of them.
  """
  numbers = values[np.isfinite(values)]
  return float(numbers.mean()) if len(numbers) else float("nan")
