# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads PLY files with the library plyfile.

  parts = read_ply(data, refers)

This reads faces with any number of corners, triangle strips, colours of
vertices or faces (integers of any size, or fractions), and textures that a
`comment TextureFile` names, with coordinates at the vertices or the faces.
Colours are multiplied with the texture, as in MeshLab.
"""

import io

from meshes.looks import (
  GREY,
  OPAQUE_FROM,
  display_colors,
  without_unused_alpha,
)
from meshes.polygons import triangulate
from meshes.references import References, decode_text
import numpy as np
import plyfile
from surfaces import Part, Texture

_RGB = (
  ("red", "green", "blue"),
  ("diffuse_red", "diffuse_green", "diffuse_blue"),
  ("r", "g", "b"),
)
_UV = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))
_INDICES = ("vertex_indices", "vertex_index")


def read_ply(data: bytes, refers: References) -> list[Part]:
  """Reads the parts of a file: one, or one for each of several textures.

  Raises:
    ValueError: the file is broken. Parsing may raise other errors, too.
  """
  ply, comments = _parse(data)
  if "vertex" not in ply:
    raise ValueError("it has no vertices")
  vertices = ply["vertex"].data
  xyz = np.stack([vertices[k].astype(np.float64) for k in "xyz"], -1)
  corners, counts, face = _polygons(ply)
  if not len(corners):
    return []
  if corners.min() < 0 or corners.max() >= len(xyz):
    raise ValueError("a face has a vertex that does not exist")
  rows, polygon = triangulate(xyz[corners], counts)
  triangles = xyz[corners[rows]]
  faces = None if face is None else ply["face"].data
  colors = _rgb(vertices)
  of_faces = None if faces is None else _rgb(faces)
  if colors is not None:
    colors = colors[corners[rows]]
  elif of_faces is not None:
    colors = np.repeat(of_faces[face[polygon]][:, None], 3, axis=1)
  textures = [
    text.split(None, 1)[1].strip()
    for text in comments
    if text.lower().startswith("texturefile ") and len(text.split()) > 1
  ]
  uv = _uv(faces, vertices, counts, corners, rows) if textures else None
  if uv is None:
    return [_textured(triangles, colors, None, None)]
  number = np.zeros(len(triangles), int)
  if faces is not None and "texnumber" in faces.dtype.names:
    number = faces["texnumber"][face[polygon]]
  return [
    _textured(
      triangles[number == i],
      None if colors is None else colors[number == i],
      uv[number == i],
      refers.texture(textures[i]) if 0 <= i < len(textures) else None,
    )
    for i in np.unique(number)
  ]


def _parse(data: bytes) -> tuple[plyfile.PlyData, list[str]]:
  """Parses a file into its elements and the comments of its header."""
  end = data.find(b"end_header")
  header, comments, lines = data[:end], [], []
  for line in header.splitlines(keepends=True):
    word, _, rest = line.partition(b" ")
    if word.strip() in (b"comment", b"obj_info"):
      # plyfile reads only ASCII, but comments may have names of people.
      comments.append(decode_text(rest).strip())
      continue
    lines.append(line)
    words = line.split()
    # A broken header must not make plyfile reserve huge arrays.
    if word == b"element" and len(words) == 3 and int(words[2]) > len(data):
      name = words[1].decode("latin-1")
      raise ValueError(f"it has fewer {name} elements than its header says")
  file = b"".join(lines) + data[max(0, end) :]
  lists = {"face": {name: 3 for name in _INDICES}}
  try:
    ply = plyfile.PlyData.read(io.BytesIO(file), known_list_len=lists)
  except plyfile.PlyParseError:  # not all faces are triangles: a slower way
    ply = plyfile.PlyData.read(io.BytesIO(file))
  return ply, comments


def _polygons(ply: plyfile.PlyData):
  """Returns corners of all polygons, their counts, and their rows in `face`.

  Rows are None for triangle strips.
  """
  if "face" in ply and ply["face"].count:
    lists = _vertex_indices(ply["face"].data)
    if lists.dtype == object:
      counts = np.array([len(row) for row in lists])
      corners = np.concatenate([*lists, np.zeros(0, int)]).astype(np.int64)
    else:
      counts = np.full(len(lists), lists.shape[1])
      corners = lists.reshape(-1).astype(np.int64)
    return corners, counts, np.arange(len(counts))
  if "tristrips" in ply:
    strips = _vertex_indices(ply["tristrips"].data)
    triangles = [t for row in strips for t in _strip(row.tolist())]
    corners = np.array(triangles, np.int64).reshape(-1)
    return corners, np.full(len(triangles), 3), None
  return np.zeros(0, np.int64), np.zeros(0, int), None


def _vertex_indices(rows: np.ndarray) -> np.ndarray:
  """Returns the column of faces or strips that has their lists of vertices."""
  for name in _INDICES:
    if name in rows.dtype.names:
      return rows[name]
  raise ValueError(f"its faces have no {_INDICES[0]}")


def _strip(indices: list[int]) -> list[tuple[int, int, int]]:
  """Cuts a strip into triangles; -1 starts a new strip."""
  triangles, start = [], 0
  for i, index in enumerate(indices):
    if index == -1:
      start = i + 1
    elif i - start >= 2:
      a, b, c = indices[i - 2 : i + 1]
      triangles.append((b, a, c) if (i - start) % 2 else (a, b, c))
  return triangles


def _rgb(rows: np.ndarray) -> np.ndarray | None:
  """Returns colours [N, 3] in [0, 1] of vertices or faces; None without any."""
  for names in _RGB:
    if all(name in rows.dtype.names for name in names):
      values = np.stack([rows[name] for name in names], -1)
      if values.dtype.kind in "iu":
        bits = 16 if values.max(initial=0) > 255 else 8
        return np.clip(values / (2.0**bits - 1), 0, 1)
      return display_colors(values.astype(np.float64))
  return None


def _uv(faces, vertices, counts, corners, rows) -> np.ndarray | None:
  """Returns texture coordinates [T, 3, 2] of triangles; None without any."""
  if faces is not None and "texcoord" in faces.dtype.names:
    lists = faces["texcoord"]
    lengths = np.array([len(row) for row in lists])
    if (lengths != 2 * counts).any():
      raise ValueError("a face has not two texture coordinates a corner")
    uv = np.concatenate([*lists]).astype(np.float64).reshape(-1, 2)
    return uv[rows]
  for names in _UV:
    if all(name in vertices.dtype.names for name in names):
      uv = np.stack([vertices[name].astype(np.float64) for name in names], -1)
      return uv[corners[rows]]
  return None


def _textured(triangles, colors, uv, pixels: np.ndarray | None) -> Part:
  """Makes a part with the texture `pixels` [H, W, 4], or without if None."""
  if colors is None:
    plain = GREY if pixels is None else 1.0
    colors = np.full((len(triangles), 3, 3), plain)
  if pixels is None:
    return Part(triangles, colors)
  pixels = without_unused_alpha(pixels)
  has_holes = pixels[..., 3].min() < 255
  return Part(
    triangles,
    colors,
    texture=Texture(pixels),
    uv=uv,
    cutoff=OPAQUE_FROM if has_holes else None,
  )
