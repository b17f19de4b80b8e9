# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures for people: labelled grids, orbit GIF and MP4.

  write_sample_pictures(folder, sampled)  # views.png, orbit.gif, orbit.mp4
  write_png("grid.png", image_grid([[view_u8, None], [a_u8, b_u8]]))
  write_gif("orbit.gif", frames_u8, fps=12)
  write_mp4("orbit.mp4", frames_u8, fps=12)

All images are uint8 [H, W, 3]. Small ones are enlarged by whole factors, so
that a pixel stays a square. The same input gives the same bytes.
"""

from collections.abc import Sequence
import io
import math
import os
import subprocess
import tempfile

import einops
from etils import epath
from jaxtyping import UInt8
import numpy as np
from PIL import Image, ImageDraw, ImageFont
import scipy.spatial

from threedim_jax.views.png import encode_png
from threedim_jax.workdir.samples import Sampled

WHITE, PAPER, INK = (255, 255, 255), (240, 242, 244), (70, 74, 80)
GAP = 6  # pixels between the cells of a grid
LABEL_SIZE = 13  # pixels

# -vf converts to what -color* announces (ffmpeg 7 does not by itself);
# faststart: plays while it loads; bitexact, one thread and no metadata: the
# same frames give the same file.
_H264 = (
  "-c:v libx264 -crf 14 -preset medium -pix_fmt yuv420p"
  " -vf scale=out_color_matrix=bt709:out_range=tv"
  " -colorspace bt709 -color_primaries bt709 -color_trc bt709"
  " -movflags +faststart"
  " -threads 1 -fflags +bitexact -flags:v +bitexact -map_metadata -1"
)

Cell = UInt8[np.ndarray, "H W 3"] | None


def upscale(
  images_u8: UInt8[np.ndarray, "*N H W 3"], min_side: int
) -> UInt8[np.ndarray, "*N H2 W2 3"]:
  """Repeats pixels until the shorter side has at least `min_side` of them."""
  factor = math.ceil(min_side / min(images_u8.shape[-3:-1]))
  return einops.repeat(
    images_u8, "... h w c -> ... (h i) (w j) c", i=factor, j=factor
  )


def write_png(path: epath.PathLike, image_u8: UInt8[np.ndarray, "H W 3"]):
  epath.Path(path).write_bytes(encode_png(image_u8))


# ------------------------------------------------------------------ grids


def image_grid(
  rows: Sequence[Sequence[Cell]],
  *,
  row_labels: Sequence[str] = (),
  col_labels: Sequence[str] = (),
  min_side: int = 96,
) -> UInt8[np.ndarray, "H2 W2 3"]:
  """Cells of one size in rows on light grey; None leaves a place empty.

  Rows may differ in length. Labels stand left of the rows and above the
  columns; either may be left out.
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
  """One row per example: what the network saw, said and should have said."""
  return image_grid(
    [list(row) for row in columns_u8],
    row_labels=row_labels,
    col_labels=("conditioning", "noisy", "x0_hat", "target"),
    min_side=min_side,
  )


def views_grid(
  input_u8: UInt8[np.ndarray, "M H W 3"],
  images_u8: UInt8[np.ndarray, "N H W 3"],
  truth_u8: UInt8[np.ndarray, "N H W 3"] | None = None,
  *,
  per_row: int = 8,
  min_side: int = 96,
) -> UInt8[np.ndarray, "H2 W2 3"]:
  """The given views, then blocks of generated views, each over its truth."""
  rows, labels = [], []
  lines = [("input", input_u8)]
  for i in range(0, len(images_u8), per_row):
    lines.append(("generated", images_u8[i : i + per_row]))
    if truth_u8 is not None:
      lines.append(("truth", truth_u8[i : i + per_row]))
  for label, line in lines:
    labels.append(label)
    rows.append(list(line))
  return image_grid(rows, row_labels=labels, min_side=min_side)


# ----------------------------------------------------------------- motion


def write_gif(
  path: epath.PathLike,
  frames_u8: UInt8[np.ndarray, "N H W 3"],
  *,
  fps: int = 12,
  min_side: int = 256,
) -> None:
  """An endless GIF. One palette for all frames: still parts do not flicker."""
  some = frames_u8[:: math.ceil(len(frames_u8) / 16)]  # enough for a palette
  montage = Image.fromarray(einops.rearrange(some, "n h w c -> (n h) w c"))
  found = montage.quantize(255, Image.Quantize.MEDIANCUT, kmeans=1)
  # Averaged colours leave no white; a white entry keeps the background white.
  palette = np.array([*(found.getpalette() or []), *WHITE], np.uint8)
  colours = einops.rearrange(palette, "(k c) -> k c", c=3)
  # Pillow's own mapping to a palette is too coarse to tell white from 252.
  _, nearest = scipy.spatial.KDTree(colours).query(frames_u8)
  factor = math.ceil(min_side / min(frames_u8.shape[1:3]))
  frames = []
  for index in nearest.astype(np.uint8):
    frame = Image.fromarray(np.kron(index, np.ones((factor, factor), np.uint8)))
    frame.putpalette(palette.tobytes())
    frames.append(frame)
  data = io.BytesIO()
  frames[0].save(
    data,
    format="GIF",
    save_all=True,
    append_images=frames[1:],
    duration=10 * round(100 / fps),  # ms; the format counts in 10 ms
    loop=0,
  )
  epath.Path(path).write_bytes(data.getvalue())


def write_mp4(
  path: epath.PathLike,
  frames_u8: UInt8[np.ndarray, "N H W 3"],
  *,
  fps: int = 12,
  min_side: int = 256,
) -> None:
  """H.264 that browsers and phones play, by imageio-ffmpeg's own ffmpeg."""
  import imageio_ffmpeg  # looks for its program when it is imported

  frames_u8 = upscale(frames_u8, min_side)
  height, width = frames_u8.shape[1:3]
  # yuv420p has one colour sample per 2x2 pixels: sizes must be even.
  frames_u8 = np.pad(
    frames_u8,
    ((0, 0), (0, height % 2), (0, width % 2), (0, 0)),
    mode="edge",
  )
  height, width = frames_u8.shape[1:3]
  with tempfile.TemporaryDirectory() as folder:  # ffmpeg knows no gs:// paths
    file = os.path.join(folder, "orbit.mp4")
    # Not imageio_ffmpeg.write_frames: it runs Python between fork and exec,
    # which can hang in a process with JAX's threads.
    result = subprocess.run(
      [imageio_ffmpeg.get_ffmpeg_exe(), *"-v error -f rawvideo".split()]
      + f"-pix_fmt rgb24 -s {width}x{height} -r {fps} -i -".split()
      + [*_H264.split(), file],
      input=frames_u8.tobytes(),
      capture_output=True,
    )
    if result.returncode:
      raise RuntimeError(f"ffmpeg: {result.stderr.decode().strip()}")
    epath.Path(path).write_bytes(epath.Path(file).read_bytes())


# ---------------------------------------------------------------- objects


def write_sample_pictures(
  folder: epath.PathLike, sampled: Sampled, *, fps: int = 12
) -> list[epath.Path]:
  """Grid, GIF and MP4 of one object, in the order of generation."""
  folder = epath.Path(folder)
  grid = views_grid(
    sampled.input_images_u8, sampled.images_u8, sampled.truth_u8
  )
  paths = [folder / name for name in ("views.png", "orbit.gif", "orbit.mp4")]
  write_png(paths[0], grid)
  write_gif(paths[1], sampled.images_u8, fps=fps)
  write_mp4(paths[2], sampled.images_u8, fps=fps)
  return paths
