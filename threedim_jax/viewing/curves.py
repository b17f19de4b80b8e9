# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Loss curves, for a page (SVG) or a file (PNG).

  svg = loss_curve([(10, 0.9), (20, 0.5)], bins={"[-20, -15)": curve, ...})

matplotlib takes a second to import, so it is imported when a curve is drawn.
"""

from collections.abc import Mapping
import io
import math
import re
from typing import Literal

import numpy as np

from threedim_jax.workdir.run import Curve

SERIES, EVALUATION = "#4a86c5", "#d9822b"  # read on white and on black
NOISE = ["#3f8fd0", "#a861bb", "#e3812f"]  # from the noisiest bin on
CURVE_INK = "#5c6470"


def smoothed(curve: Curve) -> Curve:
  """Gaussian average over about a tenth of the points; it does not lag."""
  if not curve:
    return []
  values = np.array([value for _, value in curve], np.float64)
  sd = max(1.0, len(values) / 40)
  half = math.ceil(3 * sd)
  kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / sd) ** 2)
  inside = slice(half, half + len(values))
  total = np.convolve(values, kernel)[inside]
  weight = np.convolve(np.ones_like(values), kernel)[inside]
  steps = [step for step, _ in curve]
  return list(zip(steps, (total / weight).tolist(), strict=True))


def loss_curve(
  train: Curve,
  *,
  evaluated: Curve = (),
  bins: Mapping[str, Curve] | None = None,
  format: Literal["svg", "png"] = "svg",
) -> bytes:
  """The loss over steps, and beside it by log-SNR bin; "svg" or "png".

  The SVG is for a page: it has no fixed size and no web address, and its text
  has the colour of the text around it.
  """
  import matplotlib
  import matplotlib.colors
  from matplotlib.figure import Figure

  style = {
    "text.color": CURVE_INK,
    "axes.labelcolor": CURVE_INK,
    "axes.edgecolor": CURVE_INK,
    "xtick.color": CURVE_INK,
    "ytick.color": CURVE_INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "threedim_jax",  # the same ids every time
  }
  with matplotlib.rc_context(style):
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
    data = io.BytesIO()
    metadata = {"Date": None} if format == "svg" else None
    figure.savefig(
      data,
      format=format,
      dpi=120,
      transparent=format == "svg",
      metadata=metadata,
    )
  return _for_page(data.getvalue()) if format == "svg" else data.getvalue()


def _plot(ax, label: str, curve: Curve, **style) -> None:
  if curve:
    ax.plot(*zip(*curve, strict=True), label=label, **style)


def _finish(ax) -> None:
  """Log axis where the values span more than one decade; legend, labels."""
  values = [y for line in ax.lines for y in line.get_ydata()]
  if values and min(values) > 0 and max(values) > 10 * min(values):
    ax.set_yscale("log")
  ax.set_xlabel("step")
  ax.grid(color=CURVE_INK, alpha=0.2, linewidth=0.6)
  if len(ax.lines) > 1:
    ax.legend(fontsize=8.5, ncols=math.ceil(len(ax.lines) / 4))


def _for_page(svg: bytes) -> bytes:
  """Leaves the <svg> element alone: no web address, size or ink of its own."""
  text = svg.decode()
  text = text[text.index("<svg") :]
  text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
  text = re.sub(r' (xmlns(:\w+)?|version)="[^"]*"', "", text)
  text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
  text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
  text = text.replace("xlink:href", "href")
  return text.replace(CURVE_INK, "currentColor").encode()
