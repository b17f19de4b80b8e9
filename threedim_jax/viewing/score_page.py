# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes a page about a 3D consistency score, with numbers and pictures.

  write_score_page("W/samples_consistency")  # W is the workdir

The folder holds consistency.json and the PNGs that --mode=score wrote, and also
gets the page. The page is made only from these files, so it can be made again
on another machine. If a picture of an object is missing or damaged, the page
shows an error in place of the object's pictures.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from etils import epath
from jaxtyping import UInt8
import numpy as np

from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing.page import (
  Card,
  Text,
  facts_table,
  picture_uri,
  write_page,
)
from threedim_jax.viewing.tables import (
  RANKED_BY,
  averaging,
  ranked_objects,
  score_table,
  score_text,
  score_texts,
)
from threedim_jax.views.png import decode_png
from threedim_jax.workdir import samples
from threedim_jax.workdir.protocol import spread
from threedim_jax.workdir.scores import ObjectScores, Scores, read_scores

MAX_OBJECTS = 24  # shown with pictures; a page with hundreds would not open
MAX_VIEWS = 8  # per object
AMPLIFIED = 4  # multiplies errors, which for a good field are too faint to see
AGAIN = "Run --mode=score again."
ROWS = {"ground truth": "true views (ceiling)", "white image": "white (floor)"}
HOW_TO_READ = """
A neural field whose colours do not depend on the view was fitted to most views
of an object, and its renders are compared with the views that were held out.
“ground truth” is the same with the true views, where they are known: a ceiling.
“white image” compares with blank pictures: a floor. Views may agree with each
other and still not show the given object: psnr_input_u8 compares the field at
the pose of the given view with the given view.
"""

Image = UInt8[np.ndarray, "H W 3"]


class ObjectPictures(NamedTuple):
  """A page block with pictures of one object, each stored as a data URI."""

  object_id: str
  label: str
  numbers: Mapping[str, Sequence[str]]  # by row
  note: str
  error: str = ""  # why there are no pictures
  width: int = 0  # pixels
  given: Sequence[tuple[str, str]] = ()  # (caption, picture)
  heads: Sequence[str] = ()  # of the columns
  rows: Mapping[str, Sequence[str]] = {}
  kind = "pictures"


def write_score_page(out_dir: epath.PathLike) -> epath.Path:
  """Writes `consistency.html` into `out_dir`, and returns the path of the page.

  Args:
    out_dir: folder to which --mode=score wrote consistency.json and pictures.

  Raises:
    UserError: consistency.json is missing or damaged.
  """
  out_dir = epath.Path(out_dir)
  scores = read_scores(out_dir / "consistency.json")
  if scores is None:
    raise UserError(
      f"There is no {out_dir / 'consistency.json'} to show: --mode=score"
      " writes it."
    )
  chosen = ranked_objects(scores, MAX_OBJECTS)
  text = (
    f"{len(chosen)} of {scores.num_objects}, evenly spread, best first by"
    f" {RANKED_BY} of “{scores.subject}”. The field was not fitted to the views"
    f" shown here. Differences are absolute, times {AMPLIFIED}; black is equal."
  )
  objects: list[Any] = [Text(text)]
  with progress.bar("write the page", total=len(chosen)) as bar:
    for object_id, rank in chosen:
      of_object = scores.objects[object_id]
      objects.append(field_pictures(out_dir, object_id, of_object, rank))
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
  """Makes page blocks: a table of 3D consistency scores, and how to read it."""
  return [
    score_table(scores),
    Text(averaging(scores, "held-out views")),
    *map(Text, scores.remarks),
    Text(HOW_TO_READ, style=""),
  ]


def field_pictures(
  out_dir: epath.Path, object_id: str, scores: ObjectScores, label: str
) -> ObjectPictures:
  """Makes a page block that compares held-out views with the field's renders.

  If a picture is missing or damaged, the block has an error and no pictures.

  Args:
    out_dir: folder that holds the objects' folders.
    label: text beside the object's id, such as its rank.
  """
  shown = spread(scores.held_out, MAX_VIEWS)
  note = f"{len(shown)} of {len(scores.held_out)} held-out views are shown."
  if scores.foreground is not None:
    note += f" {scores.foreground:.0%} of the held-out pixels are not white."
  block = ObjectPictures(object_id, label, score_texts(scores.rows), note)
  try:
    folder = out_dir / samples.folder_name(object_id)
    views = _read(folder, "view", shown)
    renders = _read(folder, "render", shown)
    if {p.shape for p in views} != {p.shape for p in renders}:
      raise UserError(f"{folder} holds pictures of different sizes. {AGAIN}")
    rows = {
      "held out": views,
      "field": renders,
      f"difference ×{AMPLIFIED}": list(map(error_picture, views, renders)),
    }
    given = {}
    # If all pictures of a kind are missing, none was made. A single missing
    # picture was lost.
    if any(folder.glob("truth_*.png")):
      rows["true"] = _read(folder, "truth", shown)
      rows["field of the true"] = _read(folder, "truth_render", shown)
    if any(folder.glob("input_*.png")):
      (given["given view"],) = _read(folder, "input", [0])
      (given["field at its pose"],) = _read(folder, "input_render", [0])
  except UserError as e:
    return block._replace(error=str(e))
  return block._replace(
    width=views[0].shape[1] if views else 0,
    given=[(caption, picture_uri(image)) for caption, image in given.items()],
    heads=[f"view {i}" for i in shown],
    rows={row: list(map(picture_uri, images)) for row, images in rows.items()},
  )


def error_picture(view_u8: Image, render_u8: Image) -> Image:
  """Returns the absolute difference between two pictures, times `AMPLIFIED`.

  The difference is computed for each channel. Values above 255 become 255.
  """
  difference = np.abs(view_u8.astype(np.int32) - render_u8)
  return np.minimum(AMPLIFIED * difference, 255).astype(np.uint8)


def _read(folder: epath.Path, kind: str, views: Sequence[int]) -> list[Image]:
  """Reads the picture <kind>_<view>.png for each index in `views`.

  Raises:
    UserError: a picture is missing or damaged.
  """
  images_u8 = []
  for view in views:
    path = folder / f"{kind}_{view:03d}.png"
    if not path.exists():
      raise UserError(f"{path} is missing. {AGAIN}")
    images_u8.append(decode_png(path.read_bytes(), path))
  return images_u8
