# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a consistency score compares: held-out views and the field's renders.

  field_pictures(OUT, "chair_7", scores)  # a block for `page.write_page`

If a picture is missing or damaged, the block says so in place of the pictures.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from etils import epath
from jaxtyping import UInt8
import numpy as np

from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing.page import data_uri
from threedim_jax.viewing.tables import score_texts
from threedim_jax.views.png import decode_png, encode_png
from threedim_jax.workdir import samples
from threedim_jax.workdir.protocol import spread
from threedim_jax.workdir.scores import ObjectScores

MAX_VIEWS = 8  # of an object
AMPLIFIED = 4  # times: errors of a good field are too faint to see
AGAIN = "Run --mode=score again."

Image = UInt8[np.ndarray, "H W 3"]


class ObjectPictures(NamedTuple):
  """A block for `page.write_page`; all pictures are data URIs."""

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


def field_pictures(
  out_dir: epath.Path, object_id: str, scores: ObjectScores, label: str
) -> ObjectPictures:
  """Held-out views over the field's renders of them and their difference."""
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
    # Without both pictures the row is missing; with one, the other was lost.
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
    given=[(caption, _uri(image)) for caption, image in given.items()],
    heads=[f"view {i}" for i in shown],
    rows={row: list(map(_uri, images)) for row, images in rows.items()},
  )


def error_picture(view_u8: Image, render_u8: Image) -> Image:
  """Absolute difference of each channel, amplified; black where equal."""
  difference = np.abs(view_u8.astype(np.int32) - render_u8)
  return np.minimum(AMPLIFIED * difference, 255).astype(np.uint8)


def _read(folder: epath.Path, kind: str, views: Sequence[int]) -> list[Image]:
  """Reads pictures; a UserError names one that is missing or damaged."""
  images_u8 = []
  for view in views:
    path = folder / f"{kind}_{view:03d}.png"
    if not path.exists():
      raise UserError(f"{path} is missing. {AGAIN}")
    images_u8.append(decode_png(path.read_bytes(), path))
  return images_u8


def _uri(image_u8: Image) -> str:
  return data_uri(encode_png(image_u8))
