# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes the frames of an orbit as a GIF and an MP4 file.

  write_gif("orbit.gif", frames_u8, fps=12)
  write_mp4("orbit.mp4", frames_u8, fps=12)

The same frames always give the same bytes.
"""

import io
import math
import os
import subprocess
import tempfile

import einops
from etils import epath
from jaxtyping import UInt8
import numpy as np
from PIL import Image
import scipy.spatial

from threedim_jax.views.image_grid import upscale

WHITE = (255, 255, 255)

# -vf converts to the colours that -color* announces; ffmpeg 7 does not convert
# by itself. faststart: the video plays while it loads. bitexact, one thread and
# no metadata: the same frames give the same file.
_H264 = (
  "-c:v libx264 -crf 14 -preset medium -pix_fmt yuv420p"
  " -vf scale=out_color_matrix=bt709:out_range=tv"
  " -colorspace bt709 -color_primaries bt709 -color_trc bt709"
  " -movflags +faststart"
  " -threads 1 -fflags +bitexact -flags:v +bitexact -map_metadata -1"
)


def write_gif(
  path: epath.PathLike,
  frames_u8: UInt8[np.ndarray, "N H W 3"],
  *,
  fps: int = 12,
  min_side: int = 256,
) -> None:
  """Writes frames as a GIF that plays in an endless loop.

  All frames share one palette. Otherwise, parts that do not move would flicker.

  Args:
    frames_u8: the frames, in RGB.
    fps: frames per second.
    min_side: frames whose shorter side has fewer pixels than this are enlarged
      by the smallest sufficient integer factor.
  """
  some = frames_u8[:: math.ceil(len(frames_u8) / 16)]  # enough for a palette
  montage = Image.fromarray(einops.rearrange(some, "n h w c -> (n h) w c"))
  found = montage.quantize(255, Image.Quantize.MEDIANCUT, kmeans=1)
  # The palette holds averages. White is added to keep the background white.
  palette = np.array([*(found.getpalette() or []), *WHITE], np.uint8)
  colours = einops.rearrange(palette, "(k c) -> k c", c=3)
  # Pillow's own mapping to a palette is too coarse: it maps 252 to white.
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
    duration=10 * round(100 / fps),  # ms; the unit of GIF is 10 ms
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
  """Writes frames as an H.264 video that browsers and phones can play.

  The ffmpeg program of the package imageio-ffmpeg encodes the video. The
  arguments are those of `write_gif`.
  """
  import imageio_ffmpeg  # looks for its program when it is imported

  frames_u8 = upscale(frames_u8, min_side)
  height, width = frames_u8.shape[1:3]
  # Sizes must be even, as yuv420p has one colour sample per 2x2 pixels.
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
