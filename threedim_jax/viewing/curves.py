# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws loss curves as an SVG image for a page.

svg = loss_curve([(10, 0.9), (20, 0.5)])  # (step, training loss) pairs
"""

from collections.abc import Mapping
import io
import math
import re

import numpy as np
import scipy.ndimage

from threedim_jax.workdir.run import Curve

SERIES, EVALUATION = "#4a86c5", "#d9822b"  # readable on white and on black
NOISE = ["#3f8fd0", "#a861bb", "#e3812f"]  # log-SNR bins, noisiest first
INK = "#5c6470"  # replaced by the colour of the text around the drawing
STYLE = {
  "text.color": INK,
  "axes.labelcolor": INK,
  "axes.edgecolor": INK,
  "xtick.color": INK,
  "ytick.color": INK,
  "axes.spines.top": False,
  "axes.spines.right": False,
  "legend.frameon": False,
  "svg.fonttype": "none",  # writes text, not outlines of letters
  "svg.hashsalt": "threedim_jax",  # gives the same ids every time
}


def smoothed(curve: Curve) -> Curve:
  """Smooths a curve with a Gaussian that covers about a tenth of the points.

  The curve consists of (step, value) pairs. The steps stay the same.
  """
  if not curve:
    return []
  steps, values = zip(*curve, strict=True)
  sd = max(1.0, len(values) / 40)
  total, weight = (
    scipy.ndimage.gaussian_filter1d(x, sd, mode="constant", truncate=3)
    for x in (np.array(values, np.float64), np.ones(len(values)))
  )
  return list(zip(steps, (total / weight).tolist(), strict=True))


def loss_curve(
  train: Curve,
  *,
  evaluated: Curve = (),
  bins: Mapping[str, Curve] | None = None,
) -> str:
  """Draws the loss over steps and, beside it, the loss of each log-SNR bin.

  A log-SNR bin is a range of noise levels.

  Args:
    train: (step, training loss) pairs.
    evaluated: (step, evaluation loss) pairs.
    bins: {name of a log-SNR bin: (step, training loss) pairs}. None: only the
      first plot is drawn.

  Returns:
    An <svg> element as text. The element scales with the page, needs no network
    and has the page's text colour.
  """
  import matplotlib  # takes a second
  import matplotlib.colors
  from matplotlib.figure import Figure

  with matplotlib.rc_context(STYLE):
    figure = Figure(figsize=(9.6 if bins else 6.4, 3.4), layout="constrained")
    axes = figure.subplots(1, 2 if bins else 1, squeeze=False)[0]
    _plot(axes[0], "raw", train, color=SERIES, alpha=0.45, linewidth=1)
    _plot(axes[0], "smoothed", smoothed(train), color=SERIES, linewidth=2)
    _plot(axes[0], "evaluation", evaluated, color=EVALUATION, marker="o")
    axes[0].set_title("training loss", fontsize=11)
    colours = matplotlib.colors.LinearSegmentedColormap.from_list("", NOISE)
    for i, (label, curve) in enumerate((bins or {}).items()):
      colour = colours(i / max(1, len(bins) - 1))
      _plot(axes[1], label, smoothed(curve), color=colour, linewidth=1.5)
      axes[1].set_title("by log-SNR, smoothed", fontsize=11)
    for ax in axes:
      _finish(ax)
    file = io.StringIO()
    figure.savefig(
      file, format="svg", transparent=True, metadata={"Date": None}
    )
  svg = file.getvalue()
  svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
  svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
  svg = re.sub(r' (xmlns(:\w+)?|version)="[^"]*"', "", svg)
  svg = re.sub(r' (width|height)="[^"]*pt"', "", svg, count=2)
  return svg.replace("xlink:href", "href")


def _plot(ax, label: str, curve: Curve, **style) -> None:
  if curve:
    ax.plot(*zip(*curve, strict=True), label=label, **style)


def _finish(ax) -> None:
  """Adds the label of the x axis, a grid and a legend to a Matplotlib plot.

  The y axis becomes logarithmic if all values are positive and the largest
  value is more than ten times the smallest.
  """
  values = [y for line in ax.lines for y in line.get_ydata()]
  if values and min(values) > 0 and max(values) > 10 * min(values):
    ax.set_yscale("log")
  ax.set_xlabel("step")
  ax.grid(color=INK, alpha=0.2, linewidth=0.6)
  if len(ax.lines) > 1:
    ax.legend(fontsize=8.5, ncols=math.ceil(len(ax.lines) / 4))
