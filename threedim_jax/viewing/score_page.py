# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The page of a 3D consistency score: the numbers and their pictures.

  write_score_page(OUT)  # OUT/consistency.json and PNGs -> consistency.html

It reads files only, so the page can be made again anywhere.
"""

from typing import Any

from etils import epath

from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing.object_pictures import AMPLIFIED, field_pictures
from threedim_jax.viewing.page import Card, Text, facts_table, write_page
from threedim_jax.viewing.tables import averaging, score_table, score_text
from threedim_jax.workdir.protocol import spread
from threedim_jax.workdir.scores import Scores, ranked, read_scores

MAX_OBJECTS = 24  # with pictures; a page with hundreds would not open
RANKED_BY = "psnr_u8"
ROWS = {"ground truth": "true views (ceiling)", "white image": "white (floor)"}
HOW_TO_READ = """
A neural field whose colours do not depend on the view was fitted to most views
of an object, and its renders are compared with the views that were held out.
“ground truth” is the same with the true views, where they are known: a ceiling.
“white image” compares with blank pictures: a floor. Views may agree with each
other and still not show the given object: psnr_input_u8 compares the field at
the pose of the given view with the given view.
"""


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
  chosen = spread(range(len(ids)), MAX_OBJECTS)
  text = (
    f"{len(chosen)} of {len(ids)}, evenly spread, best first by {RANKED_BY} of"
    f" “{scores.subject}”. The field was not fitted to the views shown here."
    f" Differences are absolute, times {AMPLIFIED}; black is equal."
  )
  objects: list[Any] = [Text(text)]
  with progress.bar("write the page", total=len(chosen)) as bar:
    for place in chosen:
      object_id = ids[place]
      label = f"{place + 1} of {len(ids)}"
      objects.append(
        field_pictures(out_dir, object_id, scores.objects[object_id], label)
      )
      bar.advance()
  figures = {
    ROWS.get(row, row): score_text(RANKED_BY, values[RANKED_BY])
    for row, values in scores.rows.items()
    if RANKED_BY in values
  }
  return write_page(
    out_dir / "consistency.html",
    out_dir.name,
    kind="3D consistency score",
    summary="How well views agree with each other as pictures of one solid"
    " thing: PSNR of views that a field did not see.",
    figures=figures,
    sections={
      "Scores": [Card(consistency_blocks(scores))],
      "Objects": objects,
      "Protocol": [Card([facts_table(scores.protocol)])],
      "Provenance": [Card([facts_table(scores.provenance)])],
    },
  )


def consistency_blocks(scores: Scores) -> list[Any]:
  """The table of a consistency score and how to read it."""
  return [
    score_table(scores),
    Text(averaging(scores, "held-out views")),
    *map(Text, scores.remarks),
    Text(HOW_TO_READ, style=""),
  ]
