# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=score`: objects -> fitted fields -> pictures, JSON and a page.

OUT/<object>/score.json and its pictures are written as an object is done, so
that a run that was cut short resumes; OUT/consistency.json sums up.

  run_score(samples_source("W/samples", 100), "W/samples_consistency")
"""

from collections.abc import Iterator, Sequence
import dataclasses
import hashlib
import itertools
import json
import re
from typing import Any

from etils import epath
import jax
from jaxtyping import UInt8
import numpy as np

from threedim_jax.evaluation.consistency import (
  NAME,
  VARIANTS,
  ConsistencyProtocol,
  Fitted,
  fit_sets,
)
from threedim_jax.evaluation.distances.features import Network, open_networks
from threedim_jax.evaluation.distances.pool import Distances, Pool
from threedim_jax.evaluation.fields.field import FieldConfig
from threedim_jax.evaluation.view_sets import ScoredViews, Source
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing.score_page import write_score_page
from threedim_jax.views import metrics
from threedim_jax.views.png import decode_png, encode_png
from threedim_jax.workdir import results, samples

SCORE_FILE = "score.json"  # of one object, written last
WHITE_ROW = "white image"
TRUTH_ROW = "ground truth"
PICTURES = {  # names of a row's held-out views and renders, by: is it the truth
  False: ("view", "render"),
  True: ("truth", "truth_render"),
}
INPUT_PICTURES = ("input", "input_render")

_OURS = re.compile(
  f"({'|'.join((*PICTURES[False], *PICTURES[True], *INPUT_PICTURES))})"
  r"_\d{3,}\.png"
)

# A processor gains nothing from more fields than an object has; an accelerator
# is idle with so few.
OBJECTS_AT_ONCE = {"cpu": 1}
OBJECTS_AT_ONCE_ELSEWHERE = 8


def run_score(
  source: Source,
  out: epath.PathLike,
  protocol: ConsistencyProtocol = ConsistencyProtocol(),
  *,
  inception_weights: str | None = None,
) -> epath.Path:
  """Scores every object that was not yet scored with these views and protocol.

  Args:
    source: the views.
    out: where pictures, consistency.json and the page go.
    protocol: settings.
    inception_weights: pytorch-fid's file, for FID and KID.

  Returns:
    The page.

  Raises:
    UserError: an object's folder is damaged, or has too few views; or results
      would be written among the pictures.
  """
  networks = open_networks(inception_weights)  # a wrong file: say so at once
  out = epath.Path(out)
  _check_apart(source, out)
  todo, settings = {}, protocol.settings()
  with progress.bar("read views", total=len(source)) as bar:
    for object_id, origin in source.items():
      sets = origin.load()
      protocol.held_out(len(sets[0].views))
      settings.setdefault("field", _field_settings(sets))
      key = _key(sets, protocol)
      if not _is_scored(out / object_id, key):
        todo[object_id] = key
      bar.advance()
  with progress.bar("fit fields", total=len(todo) * protocol.num_steps) as bar:
    for batch in _batches(source, list(todo)):
      fitted = fit_sets(
        list(itertools.chain(*batch.values())),
        protocol,
        on_steps=lambda steps, count=len(batch): bar.advance(steps * count),
      )
      for object_id, sets in batch.items():
        mine, fitted = fitted[: len(sets)], fitted[len(sets) :]
        _write_object(out / object_id, mine, todo[object_id])
  objects = {object_id: _saved(out / object_id) for object_id in source}
  summary = results.summarize(objects)
  distances = _distances(objects, out, networks)
  for row, values in distances.rows.items():
    summary["rows"][row] |= results.finite(values)
  result = {
    "protocol": settings,
    "provenance": results.provenance(),
    "variants": VARIANTS | distances.variants,
    "remarks": distances.remarks,
    "num_held_out": sum(len(o["held_out"]) for o in objects.values()),
    **summary,
    "objects": objects,
  }
  results.write_result(out / "consistency.json", result)
  return write_score_page(out)


def _check_apart(source: Source, out: epath.Path) -> None:
  """Raises UserError if the results would replace pictures of samples."""
  for object_id, origin in source.items():
    folder = out / object_id
    same = folder.resolve() == origin.folder.resolve()
    if same or (folder / samples.INFO_FILE).exists():
      raise UserError(
        f"{folder} holds pictures that the results of scoring would replace:"
        " name another folder for them by --workdir"
      )


def _distances(
  objects: dict[str, Any], out: epath.Path, networks: Sequence[Network]
) -> Distances:
  """Between held-out views and renders, pooled over objects, by row."""
  pool, pairs = Pool(networks), {}
  for object_id, scores in objects.items():
    for row in scores["rows"]:
      if row == WHITE_ROW:
        continue
      views, renders = _read_pair(out / object_id, row, scores)
      pairs[row] = f"{row}, held out"
      pool.add(pairs[row], views)
      pool.add(row, renders)
      if row != TRUTH_ROW:  # white is set against what was to be scored
        pairs[WHITE_ROW] = pairs[row]
        pool.add(WHITE_ROW, np.full_like(views, 255))
  return pool.distances(pairs)


def _read_pair(
  folder: epath.Path, row: str, scores: dict[str, Any]
) -> list[UInt8[np.ndarray, "M H W 3"]]:
  """A row's held-out views and their renders."""
  names, views = PICTURES[row == TRUTH_ROW], scores["held_out"]
  return [_read_pictures(folder, name, views) for name in names]


def _read_pictures(
  folder: epath.Path, name: str, views: Sequence[int]
) -> UInt8[np.ndarray, "M H W 3"]:
  paths = [folder / f"{name}_{view:03d}.png" for view in views]
  return np.stack([decode_png(path.read_bytes(), path) for path in paths])


def _field_settings(sets: Sequence[ScoredViews]) -> dict[str, Any]:
  height, width = sets[0].views.hw
  return dataclasses.asdict(FieldConfig.for_size(max(height, width)))


def _key(sets: Sequence[ScoredViews], protocol: ConsistencyProtocol) -> str:
  """Of all that an object's score depends on, but for the code."""
  settings = {
    "name": NAME,
    **dataclasses.asdict(protocol),
    "field": _field_settings(sets),
  }
  parts = [s.sha256() for s in sets], settings
  return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_scored(folder: epath.Path, key: str) -> bool:
  """With these views and settings, and all pictures are there and whole."""
  scores = _saved(folder)
  if scores.get("key") != key:
    return False
  rows = scores["rows"]
  try:
    for row in rows.keys() - {WHITE_ROW}:
      _read_pair(folder, row, scores)
    if any("psnr_input_u8" in row for row in rows.values()):
      for name in INPUT_PICTURES:
        _read_pictures(folder, name, [0])
  except (FileNotFoundError, ValueError, UserError):  # lost, mixed, damaged
    return False
  return True


def _saved(folder: epath.Path) -> dict[str, Any]:
  """The object's scores; {} if it has none that can be read."""
  try:
    return json.loads((folder / SCORE_FILE).read_text())
  except (FileNotFoundError, ValueError):
    return {}


def _batches(
  source: Source, object_ids: Sequence[str]
) -> Iterator[dict[str, list[ScoredViews]]]:
  """Neighbours whose sets have the same shapes, so many as fit together."""
  at_once = OBJECTS_AT_ONCE.get(
    jax.default_backend(), OBJECTS_AT_ONCE_ELSEWHERE
  )
  shapes = lambda item: [s.views.images_u8.shape for s in item[1]]
  loaded = ((object_id, source[object_id].load()) for object_id in object_ids)
  for _, group in itertools.groupby(loaded, shapes):
    while batch := dict(itertools.islice(group, at_once)):
      yield batch


def _write_object(folder: epath.Path, fitted: list[Fitted], key: str) -> None:
  """Pictures of the held-out views and their renders, then the scores."""
  folder.mkdir(parents=True, exist_ok=True)
  (folder / SCORE_FILE).unlink(missing_ok=True)  # now unfinished
  for old in folder.glob("*.png"):
    if _OURS.fullmatch(old.name):
      old.unlink()
  write = lambda name, image: (folder / name).write_bytes(encode_png(image))
  for each in fitted:
    names = PICTURES[each.view_set.row == TRUTH_ROW]
    pictures = zip(
      each.held_out, each.held_out_u8, each.renders_u8, strict=True
    )
    for view, *pair in pictures:
      for name, image_u8 in zip(names, pair, strict=True):
        write(f"{name}_{view:03d}.png", image_u8)
  first = fitted[0]
  if first.input_render_u8 is not None:
    pair = first.view_set.given.images_u8[0], first.input_render_u8
    for name, image_u8 in zip(INPUT_PICTURES, pair, strict=True):
      write(f"{name}_000.png", image_u8)
  rows = {f.view_set.row: f.row() for f in fitted}
  rows[WHITE_ROW] = first.as_white().row()
  foreground = np.mean(metrics.is_foreground(first.held_out_u8 / 255))
  scores = {
    "key": key,
    "held_out": first.held_out.tolist(),
    "foreground": round(float(foreground), 5),
    "rows": {name: results.finite(row) for name, row in rows.items()},
  }
  results.write_result(folder / SCORE_FILE, scores)
