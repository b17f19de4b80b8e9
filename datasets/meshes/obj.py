# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads OBJ files as MeshLab and Blender do.

  parts = read_obj(data, refers)

This reads faces with any number of corners, negative indices, several material
libraries, colours after the coordinates of vertices, comments, tabs and
continued lines. It ignores lines, points and normals.
"""

import array
import dataclasses

from meshes.looks import GREY, Look, display_colors
from meshes.mtl import Material, looks_of, read_mtl
from meshes.polygons import triangulate
from meshes.references import References, decode_text, without_comment
import numpy as np
from surfaces import Part

# Statements that make surfaces which this module cannot read.
_REFUSED = ("surf", "curv2", "bmat", "call", "csh", "bsp", "bzp", "cdc")
_NO_UV = -1
_NO_MATERIAL = Look(default_color=(GREY, GREY, GREY))


def _numbers(kind: str):
  """Makes a field: an empty array of "d" floats or "q" integers."""
  return dataclasses.field(default_factory=lambda: array.array(kind))


@dataclasses.dataclass
class _Content:
  """The numbers of a file, in the order of the file."""

  xyz: array.array = _numbers("d")
  rgb: array.array = _numbers("d")
  uv: array.array = _numbers("d")
  # For each corner of each face: indices of its vertex and coordinate, from 0.
  vertex: array.array = _numbers("q")
  uv_of: array.array = _numbers("q")
  # For each face: number of corners, and index of its material in `names`.
  counts: array.array = _numbers("q")
  material: array.array = _numbers("q")
  names: dict[str | None, int] = dataclasses.field(
    default_factory=lambda: {None: 0}
  )
  libraries: list[str] = dataclasses.field(default_factory=list)


def read_obj(data: bytes, refers: References) -> list[Part]:
  """Reads the parts of an OBJ file.

  Raises:
    UserError: a material library is missing.
    ValueError: the file is broken. Parsing may raise other errors, too.
  """
  content = _parse(_lines(data))
  xyz = np.array(content.xyz).reshape(-1, 3)
  rgb = np.array(content.rgb).reshape(-1, 3)
  uv = np.array(content.uv).reshape(-1, 2)
  vertex, uv_of = np.array(content.vertex), np.array(content.uv_of)
  if not len(vertex):
    return []
  if vertex.min() < 0 or vertex.max() >= len(xyz):
    raise ValueError("a face has a vertex that does not exist")
  if uv_of.min() < _NO_UV or uv_of.max() >= len(uv):
    raise ValueError("a face has a texture coordinate that does not exist")
  rgb = display_colors(rgb)
  corner, polygon = triangulate(xyz[vertex], np.array(content.counts))
  material = np.array(content.material)[polygon]
  with_uv = (uv_of[corner] != _NO_UV).all(1)
  looks = _looks(content, refers)
  parts = []
  for number in np.unique(material):
    if looks[number] is None:
      continue
    for has_uv, look in enumerate(looks[number]):
      rows = corner[(material == number) & (with_uv == has_uv)]
      if len(rows):
        corners_uv = uv[uv_of[rows]] if has_uv else None
        parts.append(
          _part(look, xyz[vertex[rows]], rgb[vertex[rows]], corners_uv)
        )
  return parts


def _part(look: Look, triangles, rgb, uv) -> Part:
  """Makes a part from corners [F, 3, 3], colours or nan, and coordinates."""
  colors = np.where(np.isnan(rgb), look.default_color, np.nan_to_num(rgb))
  return look.part(triangles, colors, None, lambda use: use.transform(uv))


def _lines(data: bytes) -> str:
  """Decodes the text, and joins continued lines."""
  return decode_text(data).replace("\\\n", " ")


def _parse(text: str) -> _Content:
  content = _Content()
  material = 0
  xyz, uv, counts = content.xyz, content.uv, content.counts
  for line in text.split("\n"):
    words = line.split(None, 1)
    if len(words) < 2:
      continue
    key, rest = words
    if key in ("v", "vt", "f", "fo"):
      fields = rest.partition("#")[0].split()
    if key == "v":
      xyz.extend([float(x) for x in fields[:3]])
      if len(xyz) % 3:
        raise ValueError(f"a vertex has {len(fields)} coordinates")
      colored = len(fields) >= 6
      nan = [float("nan")] * 3
      content.rgb.extend([float(x) for x in fields[3:6]] if colored else nan)
    elif key == "vt":
      uv.append(float(fields[0]))
      uv.append(float(fields[1]) if len(fields) > 1 else 0.0)
    elif key in ("f", "fo"):
      num_xyz, num_uv = len(xyz) // 3, len(uv) // 2
      for field in fields:
        v, _, others = field.partition("/")
        vt = others.partition("/")[0]
        content.vertex.append(_index(int(v), num_xyz))
        content.uv_of.append(_index(int(vt), num_uv) if vt else _NO_UV)
      counts.append(len(fields))
      content.material.append(material)
    elif key == "usemtl":
      name = rest.strip()
      material = content.names.setdefault(name, len(content.names))
    elif key == "mtllib":
      content.libraries.append(rest.strip())
    elif key in _REFUSED:
      raise ValueError(f"the statement {key!r} is not read")
  return content


def _index(number: int, count: int) -> int:
  """Converts an OBJ index to one from 0; negative ones count from the end."""
  if number == 0:
    raise ValueError("an index is 0, they start from 1")
  result = number - 1 if number > 0 else count + number
  if result < 0:
    raise ValueError(f"the index {number} points before the first vertex")
  return result


def _looks(
  content: _Content, refers: References
) -> list[tuple[Look, Look] | None]:
  """Returns the looks (see `looks_of`) of each material that the file names."""
  materials = {}
  for line in content.libraries:
    for name in _library_names(line, refers):
      path = refers.find(name)
      found = read_mtl(_lines(refers.read(path)), path)
      materials = found | materials  # the first library comes first
  looks = []
  for name in content.names:
    material = None if name is None else _material(materials, name)
    if name is None and len(content.names) == 1 and len(materials) == 1:
      (material,) = materials.values()  # faces need not name the only material
    if material is None and name is not None and content.libraries:
      refers.notes.append(f"the material {name!r} is not in its .mtl file")
    if material is None:
      looks.append((_NO_MATERIAL, _NO_MATERIAL))
    else:
      looks.append(looks_of(material, refers))
  return looks


def _library_names(line: str, refers: References) -> list[str]:
  """Returns the names of a line: several, or one that has spaces or a "#"."""
  if not refers.has(line):
    line = without_comment(line)
  words = line.split()
  if all(word.lower().endswith(".mtl") for word in words):
    if all(map(refers.has, words)) or not refers.has(line):
      return words
  return [line]


def _material(materials: dict[str, Material], name: str) -> Material | None:
  """Returns the material of a name, which may have a "#" or a comment.

  Comments are taken off only if no whole name is the same, and if one material
  alone is left then.
  """
  if name in materials:
    return materials[name]
  plain = without_comment(name)
  found = [m for key, m in materials.items() if without_comment(key) == plain]
  return found[0] if plain and len(found) == 1 else None
