# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws grids of small pictures with labels, for people to look at.

  grid_u8 = image_grid([[known_u8, None], [generated_u8, true_u8]])  # two rows
  write_png("grid.png", grid_u8)

All pictures are uint8 [H, W, 3]. Small pictures are enlarged by integer
factors, so that every pixel stays a sharp square. The same pictures always give
the same bytes in the file.
"""

from collections.abc import Sequence
import math

import einops
from etils import epath
from jaxtyping import UInt8
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from threedim_jax.views.png import encode_png

PAPER, INK = (240, 242, 244), (70, 74, 80)  # background and labels
GAP = 6  # pixels between the cells of a grid
LABEL_SIZE = 13  # pixels

Cell = UInt8[np.ndarray, "H W 3"] | None


def upscale(
  images_u8: UInt8[np.ndarray, "*N H W 3"], min_side: int
) -> UInt8[np.ndarray, "*N H2 W2 3"]:
  """Enlarges pictures by an integer factor, by repeating pixels.

  Args:
    min_side: minimum height and width of the result, in pixels.
  """
  factor = math.ceil(min_side / min(images_u8.shape[-3:-1]))
  return einops.repeat(
    images_u8, "... h w c -> ... (h i) (w j) c", i=factor, j=factor
  )


def write_png(path: epath.PathLike, image_u8: UInt8[np.ndarray, "H W 3"]):
  epath.Path(path).write_bytes(encode_png(image_u8))


def image_grid(
  rows: Sequence[Sequence[Cell]],
  *,
  row_labels: Sequence[str] = (),
  col_labels: Sequence[str] = (),
  min_side: int = 96,
) -> UInt8[np.ndarray, "H2 W2 3"]:
  """Draws rows of pictures on light grey; all pictures must have the same size.

  Rows may differ in length.

  Args:
    rows: the pictures of each row; None leaves a cell empty.
    row_labels: texts to the left of the rows; may be empty.
    col_labels: texts above the columns; may be empty.
    min_side: minimum height and width of a picture in the grid, in pixels.
  """
  some = next(cell for row in rows for cell in row if cell is not None)
  height, width = upscale(some, min_side).shape[:2]
  font = ImageFont.load_default(size=LABEL_SIZE)
  left = max((math.ceil(font.getlength(s)) for s in row_labels), default=-GAP)
  left += 2 * GAP
  top = GAP + (LABEL_SIZE + GAP if col_labels else 0)
  num_cols = max(map(len, rows))
  canvas = Image.new(
    "RGB",
    (left + num_cols * (width + GAP), top + len(rows) * (height + GAP)),
    PAPER,
  )
  draw = ImageDraw.Draw(canvas)

  def place(r: int, c: int) -> tuple[int, int]:
    return left + c * (width + GAP), top + r * (height + GAP)

  for r, row in enumerate(rows):
    for c, cell in enumerate(row):
      if cell is not None:
        canvas.paste(Image.fromarray(upscale(cell, min_side)), place(r, c))
  for r, label in enumerate(row_labels):
    at = (left - GAP, place(r, 0)[1] + height // 2)
    draw.text(at, label, fill=INK, font=font, anchor="rm")
  for c, label in enumerate(col_labels):
    at = (place(0, c)[0] + width // 2, GAP + LABEL_SIZE // 2)
    draw.text(at, label, fill=INK, font=font, anchor="mm")
  return np.array(canvas)


def denoise_grid(
  columns_u8: UInt8[np.ndarray, "B 4 H W 3"],
  *,
  row_labels: Sequence[str] = (),
  min_side: int = 96,
) -> UInt8[np.ndarray, "H2 W2 3"]:
  """Draws one row per example, to show how well the network denoises.

  The columns are the conditioning view, the noisy target view, the network's
  denoised view and the true target view.

  Args:
    columns_u8: these four pictures for each of B examples.
    row_labels, min_side: see `image_grid`.
  """
  return image_grid(
    [list(row) for row in columns_u8],
    row_labels=row_labels,
    col_labels=("conditioning", "noisy", "x0_hat", "target"),
    min_side=min_side,
  )
