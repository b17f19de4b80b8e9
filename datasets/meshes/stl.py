# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads STL files, binary and text.

  parts = read_stl(data)

This ignores normals, names and colours. Bytes may follow the last face of a
binary file, and text may end without `endsolid`. The library trimesh reads no
face of such a binary file, and leaves out the last solid of such a text.
"""

import re

from meshes.looks import GREY
from meshes.references import decode_text
import numpy as np
from surfaces import Part

_HEADER_BYTES = 84
_FACE = np.dtype(
  [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")]
)


def read_stl(data: bytes) -> list[Part]:
  """Reads the faces of all solids, as one part.

  Raises:
    ValueError: the file is broken or cut off.
  """
  count = int.from_bytes(data[80:_HEADER_BYTES], "little")
  num_bytes = _HEADER_BYTES + count * _FACE.itemsize
  if num_bytes <= len(data):  # the letters of a text are a larger count
    faces = np.frombuffer(data, _FACE, count, _HEADER_BYTES)
    triangles = faces["corners"].astype(np.float64)
  else:
    text = decode_text(data).rstrip("\0 \n\x1a")  # what fills it up
    if "\0" in text:
      raise ValueError(
        f"it has {len(data)} bytes, and its {count} faces need {num_bytes}"
      )
    triangles = _triangles(text.lower())
  return [Part(triangles, np.full(triangles.shape, GREY))]


def _triangles(text: str) -> np.ndarray:
  """Parses the corners [F, 3, 3] of all facets of a text in lower case."""
  # The name of a solid may hold any words. A facet may follow on its line.
  name = r"^[ \t]*(end[ \t]*)?solid\b.*?(?=\bfacet[ \t]+normal\b|$)"
  text = re.sub(name, "", text, flags=re.MULTILINE)
  end = r"\bend[ \t]?facet\b"
  start = rf"(?:^|{end})[ \t]*facet\b"  # other words may stand in comments
  num_starts = len(re.findall(start, text, flags=re.MULTILINE))
  num_ends = len(re.findall(end, text))
  rows = re.findall(r"\bvertex[ \t]+(\S+[ \t]+\S+[ \t]+\S+)", text)
  if not num_starts == num_ends == len(rows) / 3:
    raise ValueError(
      f"it starts {num_starts} facets, ends {num_ends} and has {len(rows)}"
      " vertices"
    )
  if not rows:
    return np.zeros((0, 3, 3))
  return np.loadtxt(rows, comments=None, ndmin=2).reshape(-1, 3, 3)
