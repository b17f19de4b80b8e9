# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads OFF files as MeshLab does.

  parts = read_off(data)

This reads polygons of any shape and the colours of vertices (COFF) or else of
faces, as integers up to 255 or as fractions. It ignores normals, texture
coordinates and indices of a colour map. The numbers may follow the word OFF
without a space, as in files of ModelNet.
"""

import re

from meshes.looks import GREY
from meshes.polygons import triangulate
from meshes.references import decode_text
import numpy as np
from surfaces import Part

_HEADER = re.compile(r"(ST)?(C)?(N)?(4)?(n)?OFF\s*(.*)")
_NO_COLOR = (np.nan,) * 3


def read_off(data: bytes) -> list[Part]:
  """Reads the faces of an OFF file, as one part.

  Raises:
    ValueError: the file is broken or binary, or its vertices do not have three
      dimensions. Parsing may raise other errors, too.
  """
  lines = [
    line
    for line in map(_without_comment, decode_text(data).split("\n"))
    if line
  ]
  header = _HEADER.fullmatch(lines[0]) if lines else None
  if header is None:
    raise ValueError("its first word is not OFF")
  _, has_colors, has_normals, is_4d, is_nd, rest = header.groups()
  if rest.startswith("BINARY"):
    raise ValueError("binary OFF files are not read")
  if is_4d or is_nd:
    raise ValueError("its vertices have more than three dimensions")
  lines = [rest, *lines[1:]] if rest else lines[1:]
  num_vertices, num_faces = map(int, lines[0].split()[:2])
  if min(num_vertices, num_faces) < 0:
    raise ValueError("it has a negative number of vertices or faces")
  if num_vertices + num_faces > len(lines) - 1:
    raise ValueError("it has fewer vertices and faces than its header says")
  rows = [line.split() for line in lines[1 : 1 + num_vertices + num_faces]]
  vertices, faces = rows[:num_vertices], rows[num_vertices:]
  xyz = np.array([row[:3] for row in vertices], float).reshape(-1, 3)
  counts = [int(row[0]) for row in faces]
  if any(n < 0 or n >= len(row) for n, row in zip(counts, faces, strict=True)):
    raise ValueError("a face has fewer corners than it says")
  corners = np.array(
    [x for n, row in zip(counts, faces, strict=True) for x in row[1 : 1 + n]],
    np.int64,
  )
  if not len(corners):
    return []
  if corners.min() < 0 or corners.max() >= num_vertices:
    raise ValueError("a face has a vertex that does not exist")
  corner, polygon = triangulate(xyz[corners], np.array(counts))
  if has_colors:
    start = 6 if has_normals else 3
    colors = _colors([row[start:] for row in vertices])[corners[corner]]
  else:
    pairs = zip(counts, faces, strict=True)
    of_faces = _colors([row[1 + n :] for n, row in pairs])
    colors = np.repeat(of_faces[polygon][:, None], 3, axis=1)
  colors = np.where(np.isnan(colors), GREY, colors)
  return [Part(xyz[corners[corner]], colors)]


def _without_comment(line: str) -> str:
  return line.partition("#")[0].strip()


def _colors(rows: list[list[str]]) -> np.ndarray:
  """Converts rows of numbers to RGB [N, 3] in 0 .. 1; NaN for short rows.

  If any number has a decimal point, all are fractions. Otherwise they are
  integers up to 255.
  """
  rows = [row[:3] for row in rows]
  scale = 1 if any("." in word for row in rows for word in row) else 255
  colors = [
    [float(word) / scale for word in row] if len(row) == 3 else _NO_COLOR
    for row in rows
  ]
  return np.clip(np.array(colors, np.float64).reshape(-1, 3), 0, 1)
