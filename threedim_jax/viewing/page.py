# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes self-contained HTML pages that consist of sections of blocks.

  table = Table([[Cell("psnr_u8"), Cell("21.50 dB")]])
  sections = {"Scores": [Text("Scores of all objects"), table]}
  write_page(path, "runs/x", kind="report of a run", sections=sections)

A block is a part of a page, such as a paragraph, a table or a picture.
templates/page.html lays out every kind of block. A page contains its pictures
and loads nothing from the network. The template escapes all text except the
<svg> of a `Drawing`.
"""

import base64
from collections.abc import Mapping, Sequence
import pathlib
from typing import Any, NamedTuple

from etils import epath
from flax.traverse_util import flatten_dict
from jaxtyping import UInt8
import jinja2
import numpy as np

from threedim_jax.runtime.disk import write_atomically
from threedim_jax.views.png import encode_png

_TEMPLATES = jinja2.Environment(
  loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates"),
  autoescape=True,
  undefined=jinja2.StrictUndefined,
  trim_blocks=True,
  lstrip_blocks=True,
)


class Text(NamedTuple):
  """A page block with a paragraph, which may end in a command or a path."""

  text: str
  code: str = ""
  style: str = "quiet"  # CSS class
  kind = "text"


class Cell(NamedTuple):
  """One cell of a `Table`."""

  text: Any
  small: str = ""  # note in small type below the text
  style: str = ""  # CSS class
  percent: float | None = None  # length of a bar that replaces the text


class Table(NamedTuple):
  """A page block with a table. The first cell of each row names the row."""

  rows: Sequence[Sequence[Cell]]
  heads: Sequence[Cell] = ()
  style: str = ""  # CSS class
  kind = "table"


class Card(NamedTuple):
  """A page block that frames other blocks.

  With a `summary`, the page shows only the summary until the reader opens the
  card.
  """

  blocks: Sequence[Any]
  title: str = ""
  summary: str = ""
  kind = "card"


class Drawing(NamedTuple):
  """A page block with an <svg> element, which the template inserts unchanged.

  The element is not escaped, so it must come from a trusted source.
  """

  svg: str
  kind = "drawing"


class Gallery(NamedTuple):
  """A page block with pictures, which may differ in width.

  Attributes:
    pictures: (data URI, caption, CSS class) of each picture.
  """

  pictures: Sequence[tuple[str, str, str]]
  kind = "gallery"


def facts_table(facts: Mapping[str, Any]) -> Table:
  """Makes a table with one row for each value of a nested dictionary.

  The first cell of a row joins the keys that lead to the value: "model.ch".
  """
  flat = flatten_dict(dict(facts), sep=".")
  rows = [[Cell(key), Cell(value)] for key, value in flat.items()]
  return Table(rows, style="facts")


def data_uri(data: bytes) -> str:
  """Converts the bytes of a PNG file to a data URI.

  A data URI is an address that contains the file itself.
  """
  return "data:image/png;base64," + base64.b64encode(data).decode()


def picture_uri(image_u8: UInt8[np.ndarray, "H W 3"]) -> str:
  """Encodes a picture as a PNG file, and returns the file as a data URI."""
  return data_uri(encode_png(image_u8))


def write_page(
  path: epath.Path,
  title: str,
  *,
  kind: str,
  sections: Mapping[str, Sequence[Any]],
  summary: str = "",
  figures: Mapping[str, str] | None = None,
) -> epath.Path:
  """Writes an HTML page atomically, and returns the path of the page.

  Args:
    title: heading of the page.
    kind: what the page is, such as "report of a run"; shown above the title.
    sections: {heading: blocks}. A section without blocks is left out.
    summary: sentence below the title.
    figures: {label: number as text}. The numbers are shown in large type below
      the summary.
  """
  blocks = [block for section in sections.values() for block in section]
  page = _TEMPLATES.get_template("page.html").render(
    title=title,
    kind=kind,
    summary=summary,
    figures=figures or {},
    sections=sections,
    has_orbits=any(block.kind == "orbit" for block in blocks),
  )
  write_atomically(path, page)
  return path
