# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Do the views of an object agree with each other in 3D?

3DiM's question (Watson et al., section 4): a neural field without view
dependence is fitted to part of an object's views; how well does it predict the
rest? Views that contradict each other cannot be fitted. The paper's own
settings are not known, so these are ours, `consistency-v1`, and stand in every
result; the name there tells which of them were changed. Three things belong
beside the score: the same of the true views (a ceiling, which holds what the
field itself cannot do), white pictures (a floor), and the field seen from the
input pose: views that ignore the input may well agree with each other.

  for fitted in fit_sets(view_sets, ConsistencyProtocol()):
    fitted.row()
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any

import jax
from jaxtyping import Int, UInt8
import numpy as np

from threedim_jax.evaluation.fields.fit import FieldConfig, fit_fields
from threedim_jax.evaluation.fields.render import render_views
from threedim_jax.evaluation.view_sets import ScoredViews
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import metrics
from threedim_jax.views.pixels import to_u8

NAME = "consistency-v1"
_CHANGES = {  # how the name tells another setting
  "num_views": "at most {} views",
  "hold_out_every": "one in {} held out",
  "num_steps": "{} steps",
  "seed": "seed {}",
}
VARIANTS = {
  "psnr_u8": "held-out views against 8-bit renders of the field",
  "psnr_fg_u8": "the same over pixels that are not white in both",
  "ssim_skimage7": "7x7 uniform window, sample covariance",
  "psnr_input_u8": "field at the input pose against the input view",
}
VIEW_METRICS = (metrics.psnr_u8, metrics.psnr_fg_u8, metrics.ssim_skimage7)
FIRST_HELD_OUT = 5  # never an end of the path, beyond which nothing was seen


@dataclasses.dataclass(frozen=True)
class ConsistencyProtocol:
  """`consistency-v1`; scores of different settings do not compare."""

  num_views: int = 100  # evenly spread over those that there are
  hold_out_every: int = 10
  num_steps: int = 1000
  seed: int = 0

  @property
  def name(self) -> str:
    """As in "consistency-v1, 300 steps"."""
    changed = [
      _CHANGES[field.name].format(value)
      for field in dataclasses.fields(self)
      if (value := getattr(self, field.name)) != field.default
    ]
    return ", ".join([NAME, *changed])

  def settings(self) -> dict[str, Any]:
    """For results."""
    return {"name": self.name, **dataclasses.asdict(self)}

  def held_out(self, num_views: int) -> Int[np.ndarray, " M"]:
    """Which of the views are not fitted.

    Raises:
      UserError: too few views for one to be held out.
    """
    if num_views <= FIRST_HELD_OUT:
      raise UserError(
        f"a consistency score of {num_views} views means nothing: it takes"
        f" {FIRST_HELD_OUT + 1} at least and is meant for {self.num_views}."
        " Make more, with --config.sample.num_views=100 or"
        " --config.evaluate.num_views=100"
      )
    return np.arange(FIRST_HELD_OUT, num_views, self.hold_out_every)


@dataclasses.dataclass(frozen=True)
class Fitted:
  """Views of an object and what the field that was fitted to them shows."""

  view_set: ScoredViews
  held_out: Int[np.ndarray, " M"]
  renders_u8: UInt8[np.ndarray, "M H W 3"]
  input_render_u8: UInt8[np.ndarray, "H W 3"] | None

  @property
  def held_out_u8(self) -> UInt8[np.ndarray, "M H W 3"]:
    return self.view_set.views.images_u8[self.held_out]

  def row(self) -> dict[str, float]:
    """Mean over the held-out views; a metric may be infinite or NaN."""
    scores = metrics.score_views(
      VIEW_METRICS, self.renders_u8, self.held_out_u8
    )
    row = {name: _mean(values) for name, values in scores.items()}
    if self.input_render_u8 is not None:
      given = self.view_set.given.images_u8[:1]
      scores = metrics.score_views(
        VIEW_METRICS, self.input_render_u8[None], given
      )
      row["psnr_input_u8"] = float(scores["psnr_u8"][0])
    return row

  def as_white(self) -> "Fitted":
    """As if the field had shown nothing but the background."""
    return dataclasses.replace(
      self,
      renders_u8=np.full_like(self.renders_u8, 255),
      input_render_u8=None
      if self.input_render_u8 is None
      else np.full_like(self.input_render_u8, 255),
    )


def fit_sets(
  view_sets: Sequence[ScoredViews],
  protocol: ConsistencyProtocol,
  on_steps: Callable[[int], None] | None = None,
) -> list[Fitted]:
  """Fits a field to each set, all together, and renders what was held out.

  Args:
    view_sets: with the same number and size of views, and all or none of them
      with a given view.
    protocol: settings.
    on_steps: called with the number of steps done since the last call.
  """
  num_views, (height, width) = len(view_sets[0].views), view_sets[0].views.hw
  held_out = protocol.held_out(num_views)
  fitted = np.setdiff1d(np.arange(num_views), held_out)
  stack = lambda views, name: np.stack([getattr(v, name) for v in views])
  train = [s.views[fitted] for s in view_sets]
  fields = fit_fields(
    stack(train, "images_u8"),
    stack(train, "world_from_cam"),
    stack(train, "K"),
    config=FieldConfig.for_size(max(height, width)),
    num_steps=protocol.num_steps,
    rng=jax.random.key(protocol.seed),
    on_steps=on_steps,
  )
  with_input = view_sets[0].given is not None
  shown = [
    s.views[held_out] + s.given[:1] if with_input else s.views[held_out]
    for s in view_sets
  ]
  renders = render_views(
    fields,
    stack(shown, "world_from_cam"),
    stack(shown, "K"),
    (height, width),
  )
  renders_u8 = to_u8(np.asarray(renders) * 2 - 1)
  count = len(held_out)
  return [
    Fitted(s, held_out, r[:count], r[count] if with_input else None)
    for s, r in zip(view_sets, renders_u8, strict=True)
  ]


def _mean(values: np.ndarray) -> float:
  """Over the views that have one: no foreground, no foreground PSNR."""
  numbers = values[np.isfinite(values)]
  return float(numbers.mean()) if len(numbers) else float("nan")
