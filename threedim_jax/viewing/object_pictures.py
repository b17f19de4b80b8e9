# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The pictures that an object's score is of, in rows under their views.

  sample_pictures(W / "evaluate", "chair_7", scores, label="best")
  field_pictures(OUT, "chair_7", scores)  # for show_pictures in tables.html

A picture that is missing or damaged ends in a sentence in its object's place:
the numbers, and all other objects, are still there.
"""

from collections.abc import Mapping, Sequence
import dataclasses

from etils import epath
from jaxtyping import UInt8
import numpy as np

from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing.score_table import score_list
from threedim_jax.viewing.viewer import data_uri
from threedim_jax.views.png import decode_png, encode_png
from threedim_jax.workdir import samples
from threedim_jax.workdir.protocol import spread
from threedim_jax.workdir.scores import ObjectScores

MAX_VIEWS = 8  # of an object
AMPLIFIED = 4  # times: errors of a good field are too faint to see

Image = UInt8[np.ndarray, "H W 3"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectPictures:
  """An object for `show_pictures`; all pictures are data URIs."""

  object_id: str
  label: str
  numbers: Mapping[str, list[tuple[str, str]]]  # by row: (metric, text)
  note: str = ""
  error: str = ""  # why there are no pictures
  width: int = 0  # pixels
  given: Sequence[tuple[str, str]] = ()  # (caption, picture)
  heads: Sequence[tuple[str, str]] = ()  # of each view: name, small print
  rows: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


def sample_pictures(
  samples_dir: epath.Path, object_id: str, scores: ObjectScores, *, label: str
) -> ObjectPictures:
  """Given views beside generated ones over the true ones, with their PSNR."""
  numbers = {row: score_list(n) for row, n in scores.rows.items()}
  frame = lambda **kw: ObjectPictures(
    object_id=object_id, label=label, numbers=numbers, **kw
  )
  try:
    sampled = samples.read_sample(samples_dir / samples.folder_name(object_id))
  except UserError as e:
    return frame(error=str(e))
  shown = spread(range(len(sampled.generated)), MAX_VIEWS)
  pictures = lambda images: [data_uri(encode_png(images[i])) for i in shown]
  heads = []
  for i in shown:
    view = int(sampled.generated.index[i])
    head = f"view {view}" if view >= 0 else f"#{i}"
    psnr = scores.views.get(view, {}).get("psnr_u8")
    heads.append((head, "" if psnr is None else f"{psnr:.1f} dB"))
  rows = {"generated": pictures(sampled.generated.images_u8)}
  if sampled.truth is not None:
    rows["true"] = pictures(sampled.truth.images_u8)
  return frame(
    note=_some_of(len(shown), len(sampled.generated)),
    width=sampled.generated.hw[1],
    given=[
      ("given view", data_uri(encode_png(image)))
      for image in sampled.given.images_u8
    ],
    heads=heads,
    rows=rows,
  )


def field_pictures(
  out_dir: epath.Path, object_id: str, scores: ObjectScores, *, label: str = ""
) -> ObjectPictures:
  """Held-out views over the field's renders of them and their difference."""
  numbers = {row: score_list(n) for row, n in scores.rows.items()}
  frame = lambda **kw: ObjectPictures(
    object_id=object_id, label=label, numbers=numbers, **kw
  )
  shown = spread(scores.held_out, MAX_VIEWS)
  note = _some_of(len(shown), len(scores.held_out), "held-out views")
  if scores.foreground is not None:
    note += f" {scores.foreground:.0%} of the held-out pixels are not white."
  try:
    folder = out_dir / samples.folder_name(object_id)
    views_u8 = _read(folder, "view", shown)
    renders_u8 = _read(folder, "render", shown)
    if {p.shape for p in views_u8} != {p.shape for p in renders_u8}:
      raise UserError(
        f"{folder} holds views and renders of different sizes: run"
        " --mode=score again."
      )
    rows = {
      "held out": views_u8,
      "field": renders_u8,
      f"difference ×{AMPLIFIED}": [
        error_picture(*pair) for pair in zip(views_u8, renders_u8, strict=True)
      ],
    }
    if _has(folder, "truth", shown) or _has(folder, "truth_render", shown):
      rows["true"] = _read(folder, "truth", shown)
      rows["field of the true"] = _read(folder, "truth_render", shown)
    given = []
    if _has(folder, "input", [0]) or _has(folder, "input_render", [0]):
      given = [
        ("given view", *_read(folder, "input", [0])),
        ("field at its pose", *_read(folder, "input_render", [0])),
      ]
  except UserError as e:
    return frame(error=str(e))
  uri = lambda image_u8: data_uri(encode_png(image_u8))
  return frame(
    note=note.strip(),
    width=views_u8[0].shape[1] if views_u8 else 0,
    given=[(caption, uri(image)) for caption, image in given],
    heads=[(f"view {i}", "") for i in shown],
    rows={
      row: [uri(image) for image in images] for row, images in rows.items()
    },
  )


def error_picture(view_u8: Image, render_u8: Image) -> Image:
  """The absolute difference of each colour, amplified; black where equal."""
  difference = np.abs(view_u8.astype(np.int32) - render_u8)
  return np.minimum(AMPLIFIED * difference, 255).astype(np.uint8)


def _path(folder: epath.Path, kind: str, view: int) -> epath.Path:
  return folder / f"{kind}_{view:03d}.png"


def _has(folder: epath.Path, kind: str, views: Sequence[int]) -> bool:
  return any(_path(folder, kind, view).exists() for view in views)


def _read(folder: epath.Path, kind: str, views: Sequence[int]) -> list[Image]:
  """UserError names the one that is missing or damaged."""
  images_u8 = []
  for view in views:
    path = _path(folder, kind, view)
    if not path.exists():
      raise UserError(f"{path} is missing: run --mode=score again.")
    images_u8.append(decode_png(path.read_bytes(), path))
  return images_u8


def _some_of(shown: int, total: int, what: str = "generated views") -> str:
  if shown == total:
    return ""
  return f"{shown} of {total} {what} are shown, evenly spread."
