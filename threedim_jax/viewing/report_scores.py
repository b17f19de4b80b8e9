# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What was measured in a run, for report_scores.html: the report's middle.

  render_page("report.html", **score_sections(run), ...)

Three sections: scores against the true views, 3D consistency, and the numbers
that papers report, which stand apart from ours unless the data are the same.
"""

from typing import Any

from flax.traverse_util import flatten_dict

from threedim_jax.viewing.object_pictures import sample_pictures
from threedim_jax.viewing.published import (
  CATEGORIES,
  DECIMALS,
  PUBLISHED,
  RESOLUTION,
  SOURCES,
  Numbers,
  number_text,
)
from threedim_jax.viewing.score_table import metrics_table
from threedim_jax.workdir.evaluation_files import samples_dir
from threedim_jax.workdir.run import Run
from threedim_jax.workdir.scores import Scores, best_median_worst, ranked

RANKED_BY = "psnr_u8"
OURS = "model"  # the row of single samples, which papers report, too


def score_sections(run: Run) -> dict[str, Any]:
  """The context of report_scores.html."""
  return {
    "scores": _scores(run) if run.evaluation else None,
    "consistency": [
      consistency_context(scores)
      | {
        "folder": f"{folder}/",
        "page": str(run.workdir / f"{folder}_consistency" / "consistency.html"),
      }
      for folder, scores in run.consistency.items()
    ],
    "published": _published(run),
  }


def counted(number: int | None, noun: str) -> str:
  """3 objects, 1 object."""
  return f"{number:,} {noun}{'s' if number != 1 else ''}"


# ------------------------------------------------- against the true views


def _scores(run: Run) -> dict[str, Any] | None:
  scores = run.evaluation
  if not scores.rows:
    return None
  ids = ranked(scores, RANKED_BY)
  return {
    "table": metrics_table(scores),
    "averaging": "Mean over the views of an object, then over"
    f" {counted(scores.num_objects, 'held-out object')}.",
    "protocol": _protocol(scores),
    "protocol_facts": list(flatten_dict(scores.protocol, sep=".").items()),
    "ranked_by": RANKED_BY,
    "row": scores.subject,
    "examples": [
      sample_pictures(
        samples_dir(run.workdir, 0),
        object_id,
        scores.objects[object_id],
        label=label,
      )
      for label, object_id in best_median_worst(ids)
    ],
  }


def _protocol(scores: Scores) -> str | None:
  """The protocol in a sentence or two; None in files that do not say."""
  if not scores.protocol:
    return None
  text = f"Protocol {scores.protocol.get('name', 'without a name')}"
  if "subset" in scores.protocol:
    subset = scores.protocol["subset"]
    text += f", only a subset of it: {subset}" if subset else ", in full"
  text += f"; {counted(scores.num_objects, 'object')}"
  if scores.num_images is not None:
    text += f" and {counted(scores.num_images, 'generated view')} were scored"
  text += "."
  if list_hash := scores.protocol.get("list_sha256"):
    text += f" SHA-256 of the list of objects and views: {list_hash}"
  return text


# ------------------------------------------------------------ consistency


def consistency_context(scores: Scores) -> dict[str, Any]:
  """The table of a consistency score and how to read it."""
  every = scores.protocol.get("hold_out_every")
  part = f"one in {every}" if every else "some"
  ceiling = (
    "“ground truth”, the same with the true views, is the ceiling"
    if "ground truth" in scores.rows
    else "a ceiling is missing, as the true views are not known"
  )
  reading = [
    "A neural field without view-dependent colours was fitted to all but"
    f" {part} of an object's views, and its renders of those held out are"
    f" compared with them: {ceiling}, and “white image”, a blank picture in"
    " place of the renders, the floor."
  ]
  if any("psnr_input_u8" in row for row in scores.rows.values()):
    reading.append(
      "Views can agree with each other and still not show the given object;"
      " psnr_input_u8 tells, as it compares the field at the given view's pose"
      " with the given view."
    )
  averaging = (
    "Mean over the held-out views of an object, then over"
    f" {counted(scores.num_objects, 'object')}"
  )
  if scores.num_images is not None:
    averaging += f" ({counted(scores.num_images, 'held-out view')})"
  averaging += "."
  if name := scores.protocol.get("name"):
    averaging += f" Protocol {name}."
  return {
    "table": metrics_table(scores),
    "averaging": averaging,
    "subject": scores.subject,
    "reading": reading,
  }


# -------------------------------------------------------------- published


def _published(run: Run) -> dict[str, Any]:
  """The papers' table, with a row of ours if it is of the same data."""
  numbering = {name: i for i, name in enumerate(SOURCES, start=1)}
  why_not = _why_not_comparable(run)
  return {
    "categories": CATEGORIES,
    "metrics": [f"{m.upper()} {_arrow(m)}" for m in DECIMALS],
    "entries": [
      {
        "method": entry.method,
        "note": entry.note,
        "cells": _cells({"cars": entry.cars, "chairs": entry.chairs}),
        "source": numbering[entry.source],
        "second_hand": entry.second_hand,
      }
      for entry in PUBLISHED
    ],
    "sources": list(SOURCES.values()),
    "ours": None if why_not else _our_entry(run),
    "why_not": why_not,
  }


def _why_not_comparable(run: Run) -> str | None:
  resolution = run.setting("data", "resolution")
  if not run.data_set:
    return "No published number compares with this run: its data are unknown."
  if run.data_set not in [f"srn/{category}" for category in CATEGORIES]:
    return (
      "No published number compares with this run: its data set is"
      f" {run.data_set}, and papers report on SRN cars and chairs."
    )
  if resolution != RESOLUTION:
    return (
      f"No published number compares with this run: it is at {resolution}x"
      f"{resolution} pixels, and papers report at {RESOLUTION}x{RESOLUTION}."
    )
  if run.evaluation is None or OURS not in run.evaluation.rows:
    return "Not evaluated yet; this is what papers report on the same data."
  return None


def _our_entry(run: Run) -> dict[str, Any]:
  scores = run.evaluation
  row = scores.rows[OURS]
  if subset := scores.protocol.get("subset"):
    note = f"subset of the protocol: {subset}"
  elif "list_sha256" in scores.protocol:
    note = f"protocol {scores.protocol.get('name')}, in full"
  else:
    note = "protocol not recorded: it may be a subset"
  ours = Numbers(
    psnr=row.get("psnr_u8"), ssim=row.get("ssim_skimage7"), fid=row.get("fid")
  )
  note += "; PSNR is psnr_u8, SSIM is ssim_skimage7"
  if ours.fid is not None:
    note += f", FID is of n = {scores.num_images}"
  category = run.setting("data", "config")
  return {
    "method": "this run",
    "note": note,
    "cells": _cells({category: ours}),
  }


def _cells(by_category: dict[str, Numbers]) -> list[str]:
  """The numbers of a row, cars first."""
  return [
    number_text(metric, getattr(by_category.get(c, Numbers()), metric))
    for c in CATEGORIES
    for metric in DECIMALS
  ]


def _arrow(metric: str) -> str:
  return "↑" if metric in ("psnr", "ssim") else "↓"
