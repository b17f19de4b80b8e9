# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores the 3D consistency of many objects, and saves the scores.

  source = samples_source("W/samples", num_views=100)  # W is the workdir
  networks = open_networks()  # for distances such as FID
  score_consistency(source, out, PROTOCOLS["consistency-v1"], networks)

`out` is a folder. When an object is scored, its score.json, its held-out views
and their renders are written to out/<object>/. A run that is started again
scores only the objects without a valid score. out/consistency.json summarizes
all objects.
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
  VARIANTS,
  ConsistencyProtocol,
  Fitted,
  fit_sets,
)
from threedim_jax.evaluation.distances.features import Network, Pool
from threedim_jax.evaluation.view_sets import ScoredViews, Source
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import metrics
from threedim_jax.views.png import decode_png, encode_png
from threedim_jax.workdir import results, samples

SCORE_FILE = "score.json"  # of one object; written after its pictures
WHITE_ROW = "white image"
TRUTH_ROW = "ground truth"
# Names of picture files: a row's held-out views, and their renders.
PICTURES = ("view", "render")
TRUTH_PICTURES = ("truth", "truth_render")
INPUT_PICTURES = ("input", "input_render")
_OUR_FILES = re.compile(
  f"({'|'.join((*PICTURES, *TRUTH_PICTURES, *INPUT_PICTURES))})_\\d{{3,}}\\.png"
)

# How to get more generated views.
_MORE_VIEWS = (
  " Make more with --config.sample.num_views=100 or"
  " --config.evaluate.num_views=100."
)

# Number of objects that are fitted together. On a CPU a larger number gains
# nothing; a single object would leave an accelerator mostly idle.
OBJECTS_AT_ONCE = {"cpu": 1}
OBJECTS_AT_ONCE_ELSEWHERE = 8


def score_consistency(
  source: Source,
  out: epath.Path,
  protocol: ConsistencyProtocol,
  networks: Sequence[Network],
) -> dict[str, Any]:
  """Scores objects that have no valid score yet, and summarizes all objects.

  A saved score is valid if the same views were scored with the same settings.

  Args:
    source: {object id: where the object's views come from}.
    out: folder for consistency.json and for one folder per object.
    networks: pretrained networks for distances (such as FID) between the
      held-out views and the renders.

  Returns:
    The content of consistency.json.

  Raises:
    UserError: an object's folder is damaged or has too few views, or results
      would be written into a folder of views.
  """
  _check_apart(source, out)
  todo, settings = {}, protocol.settings()
  with progress.bar("read views", total=len(source)) as bar:
    for object_id, origin in source.items():
      sets = origin.load()
      first = sets[0]
      more = _MORE_VIEWS if first.row == "generated" else ""
      protocol.held_out(len(first.views), more)
      settings.setdefault("field", _field_settings(sets, protocol))
      key = _key(sets, protocol)
      if not _is_scored(out / object_id, key):
        todo[object_id] = key
      bar.advance()
  with progress.bar(
    "fit fields",
    total=len(todo) * protocol.num_steps,
    unit="step",
    skip_first=True,
  ) as bar:
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
  variants, remarks = _add_distances(summary["rows"], objects, out, networks)
  result = {
    "protocol": settings,
    "provenance": results.provenance(),
    "variants": VARIANTS | variants,
    "remarks": remarks,
    "num_held_out": sum(len(o["held_out"]) for o in objects.values()),
    **summary,
    "objects": objects,
  }
  results.write_result(out / "consistency.json", result)
  return result


def _check_apart(source: Source, out: epath.Path) -> None:
  """Raises a UserError if results would be written into a folder of views."""
  for object_id, origin in source.items():
    folder = out / object_id
    same = folder.resolve() == origin.folder.resolve()
    if same or (folder / samples.INFO_FILE).exists():
      raise UserError(
        f"{folder} holds pictures that the results of scoring would replace:"
        " name another folder for the results by --workdir"
      )


def _add_distances(
  rows: dict[str, dict[str, float]],
  objects: dict[str, Any],
  out: epath.Path,
  networks: Sequence[Network],
) -> tuple[dict[str, str], list[str]]:
  """Adds distances (such as FID) between held-out views and renders to `rows`.

  Each row of the score table (such as "generated") gets its own distances. Such
  a distance compares the held-out views of all objects with all their renders.

  Args:
    rows: {name of a row: its scores}; changed in place.
    objects: {object id: content of score.json}.
    out: folder that holds the objects' folders.
    networks: pretrained networks for the distances.

  Returns:
    ({metric: text that says how it was computed}, remarks on metrics that are
    missing or biased).
  """
  if not networks:
    return {}, []
  pool, pairs = Pool(networks), {}
  for object_id, scores in objects.items():
    for row in (r for r in scores["rows"] if r != WHITE_ROW):
      views, renders = _read_pair(out / object_id, row, scores)
      pairs[row] = f"{row}, held out"
      pool.add(pairs[row], views)
      pool.add(row, renders)
      if row != TRUTH_ROW:  # white pictures are compared with the same views
        pairs[WHITE_ROW] = pairs[row]
        pool.add(WHITE_ROW, np.full_like(views, 255))
  return pool.add_distances(rows, pairs)


def _read_pair(
  folder: epath.Path, row: str, scores: dict[str, Any]
) -> list[UInt8[np.ndarray, "M H W 3"]]:
  """Reads an object's held-out views, and the renders of these views.

  Args:
    folder: folder of the object.
    row: which of the object's sets of views to read, such as "generated" or
      "ground truth". Each set is one row of the score table.
    scores: content of the object's score.json.

  Returns:
    [held-out views, renders].
  """
  views = scores["held_out"]
  return [_read_pictures(folder, name, views) for name in _file_names(row)]


def _file_names(row: str) -> tuple[str, str]:
  return TRUTH_PICTURES if row == TRUTH_ROW else PICTURES


def _read_pictures(
  folder: epath.Path, name: str, views: Sequence[int]
) -> UInt8[np.ndarray, "M H W 3"]:
  paths = [folder / f"{name}_{view:03d}.png" for view in views]
  return np.stack([decode_png(path.read_bytes(), path) for path in paths])


def _field_settings(
  sets: Sequence[ScoredViews], protocol: ConsistencyProtocol
) -> dict[str, Any]:
  return dataclasses.asdict(protocol.field_config(max(sets[0].views.hw)))


def _key(sets: Sequence[ScoredViews], protocol: ConsistencyProtocol) -> str:
  """Returns a hash of everything that an object's score depends on.

  A saved score with the same hash need not be computed again.

  Args:
    sets: the object's sets of views, such as generated and true views.
  """
  settings = {
    **dataclasses.asdict(protocol),
    "field": _field_settings(sets, protocol),
    "metrics": list(VARIANTS),  # scores without a newer metric are redone
  }
  parts = [s.sha256() for s in sets], settings
  return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_scored(folder: epath.Path, key: str) -> bool:
  """Returns whether an object's folder has a valid score and all pictures.

  A valid score.json contains `key`, the object's hash from `_key`.
  """
  scores = _saved(folder)
  if scores.get("key") != key:
    return False
  try:
    rows = scores["rows"]
    for row in rows.keys() - {WHITE_ROW}:
      _read_pair(folder, row, scores)
    if any("psnr_input_u8" in row for row in rows.values()):
      for name in INPUT_PICTURES:
        _read_pictures(folder, name, [0])
  # Objects with damaged files are scored again. ValueError: sizes differ.
  except (
    *(FileNotFoundError, UserError, ValueError),
    *(AttributeError, KeyError, TypeError),  # JSON of another structure
  ):
    return False
  return True


def _saved(folder: epath.Path) -> dict[str, Any]:
  """Reads an object's score.json; returns {} if it is missing or damaged."""
  try:
    scores = json.loads((folder / SCORE_FILE).read_text())
  except (FileNotFoundError, ValueError):
    return {}
  return scores if isinstance(scores, dict) else {}


def _batches(
  source: Source, object_ids: Sequence[str]
) -> Iterator[dict[str, list[ScoredViews]]]:
  """Reads the views of a few objects at a time, for one call of `fit_sets`.

  Yields:
    {object id: its sets of views}. All objects in a batch have the same number
    of views, of the same size.
  """
  at_once = OBJECTS_AT_ONCE.get(
    jax.default_backend(), OBJECTS_AT_ONCE_ELSEWHERE
  )

  def shapes(item: tuple[str, list[ScoredViews]]) -> list[tuple[int, ...]]:
    return [s.views.images_u8.shape for s in item[1]]

  loaded = ((object_id, source[object_id].load()) for object_id in object_ids)
  for _, group in itertools.groupby(loaded, shapes):
    while batch := dict(itertools.islice(group, at_once)):
      yield batch


def _write_object(folder: epath.Path, fitted: list[Fitted], key: str) -> None:
  """Writes an object's held-out views and renders as PNGs, then score.json.

  Args:
    folder: folder of the object.
    fitted: results of the fits, one for each of the object's sets of views.
    key: hash from `_key` to store in score.json.
  """
  folder.mkdir(parents=True, exist_ok=True)
  # While this file is missing, the folder counts as unfinished.
  (folder / SCORE_FILE).unlink(missing_ok=True)
  for old in folder.glob("*.png"):
    if _OUR_FILES.fullmatch(old.name):
      old.unlink()
  pictures = {}
  for each in fitted:
    view_name, render_name = _file_names(each.view_set.row)
    for i, view in enumerate(each.held_out):
      pictures[f"{view_name}_{view:03d}"] = each.held_out_u8[i]
      pictures[f"{render_name}_{view:03d}"] = each.renders_u8[i]
  first = fitted[0]
  if first.input_render_u8 is not None:
    view_name, render_name = INPUT_PICTURES
    pictures[f"{view_name}_000"] = first.view_set.given.images_u8[0]
    pictures[f"{render_name}_000"] = first.input_render_u8
  for name, image_u8 in pictures.items():
    (folder / f"{name}.png").write_bytes(encode_png(image_u8))
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
