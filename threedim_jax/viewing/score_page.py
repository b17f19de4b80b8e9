# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The page of a 3D consistency score: numbers, and the pictures behind them.

  write_score_page(OUT)  # OUT/consistency.json and PNGs -> consistency.html

Reads the files only, so it can be made again anywhere. The page holds its
pictures itself; the pictures of differences are made here.
"""

from etils import epath
from flax.traverse_util import flatten_dict

from threedim_jax.runtime import progress
from threedim_jax.runtime.disk import write_atomically
from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing.object_pictures import ObjectPictures, field_pictures
from threedim_jax.viewing.report_scores import consistency_context, counted
from threedim_jax.viewing.score_table import score_text
from threedim_jax.viewing.viewer import render_page
from threedim_jax.workdir.protocol import spread
from threedim_jax.workdir.scores import (
  Scores,
  best_median_worst,
  ranked,
  read_scores,
)

MAX_OBJECTS = 24  # with pictures; a page of hundreds would not open
RANKED_BY = "psnr_u8"
REFERENCES = {
  "ground truth": "true views (ceiling)",
  "white image": "white image (floor)",
}


def write_score_page(out_dir: epath.PathLike) -> epath.Path:
  """Writes `consistency.html` into `out_dir` and returns its path.

  Raises:
    UserError: there is no consistency.json, or it is damaged.
  """
  out_dir = epath.Path(out_dir)
  scores = read_scores(out_dir / "consistency.json")
  if scores is None:
    raise UserError(
      f"There is no {out_dir / 'consistency.json'} to show: --mode=score"
      " writes it."
    )
  ids = ranked(scores, RANKED_BY)
  first = best_median_worst(ids)
  rest = [i for i in ids if i not in {object_id for _, object_id in first}]
  shown = spread(rest, MAX_OBJECTS - len(first))
  with progress.bar("write the page", total=len(first) + len(shown)) as bar:

    def pictures(object_id: str, label: str = "") -> ObjectPictures:
      bar.advance()
      of_object = scores.objects[object_id]
      return field_pictures(out_dir, object_id, of_object, label=label)

    examples = [pictures(object_id, label) for label, object_id in first]
    others = [pictures(object_id) for object_id in shown]
    page = render_page(
      "consistency.html",
      title=out_dir.name,
      summary=_summary(scores),
      figures=_figures(scores),
      consistency=consistency_context(scores),
      ranked_by=RANKED_BY,
      examples=examples,
      others=others,
      num_objects=scores.num_objects,
      protocol=list(flatten_dict(scores.protocol, sep=".").items()),
      provenance=list(flatten_dict(scores.provenance, sep=".").items()),
    )
  path = out_dir / "consistency.html"
  write_atomically(path, page)
  return path


def _summary(scores: Scores) -> str:
  """The score in one plain sentence."""
  numbers = scores.rows.get(scores.subject, {})
  text = (
    f"How well the {_views(scores)} of {counted(scores.num_objects, 'object')}"
    " agree with each other as pictures of one solid thing"
  )
  if RANKED_BY not in numbers:
    return text + ": nothing was scored."
  text += (
    ": a field fitted to most of them predicts the others with a PSNR of"
    f" {score_text(RANKED_BY, numbers[RANKED_BY])}"
  )
  truth = scores.rows.get("ground truth", {})
  if RANKED_BY in truth:
    text += (
      f", where true views reach {score_text(RANKED_BY, truth[RANKED_BY])}"
    )
  return text + "."


def _figures(scores: Scores) -> list[tuple[str, str]]:
  """The few numbers that stand out at the top: (label, value)."""
  labels = {scores.subject: f"{_views(scores)} agree to", **REFERENCES}
  figures = [
    (label, score_text(RANKED_BY, scores.rows[row][RANKED_BY]))
    for row, label in labels.items()
    if RANKED_BY in scores.rows.get(row, {})
  ]
  if scores.num_images is not None:
    figures.append(("held-out views", f"{scores.num_images:,}"))
  return figures


def _views(scores: Scores) -> str:
  return "generated views" if scores.subject == "generated" else "views"
