# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows and hands out: a map of cameras, a viewer, files."""

import atexit
import functools
import html
import shutil
import tempfile
import time

from etils import epath
from jaxtyping import Float, Int, UInt8
import numpy as np

from threedim_jax.evaluation.fields.mesh import write_mesh
from threedim_jax.viewing.show import show
from threedim_jax.viewing.viewer import view_angles
from threedim_jax.views.image_grid import upscale
from threedim_jax.workdir import samples
from threedim_jax.workdir.samples import ObjectSamples

KEEP_SECONDS = 3600  # that files can be downloaded


def camera_map(poses: Float[np.ndarray, "N1 4 4"], num_done: int) -> str:
  """An SVG from above: the pole in the middle, the horizon the circle."""
  azimuth, elevation = view_angles(poses) if len(poses) > 1 else _one(poses)
  radius = np.minimum((90 - elevation) / 90, 1.25)
  x = 60 * radius * np.cos(np.radians(azimuth))
  y = -60 * radius * np.sin(np.radians(azimuth))
  dots = [
    f'<circle cx="{x[i]:.1f}" cy="{y[i]:.1f}" r="{6 if i == 0 else 3.5}"'
    f' fill="{_color(i, num_done)}"><title>{"given" if i == 0 else i}:'
    f" azimuth {azimuth[i]:.0f}, elevation {elevation[i]:.0f}</title></circle>"
    for i in reversed(range(len(poses)))
  ]
  return (
    '<svg viewBox="-90 -85 180 170" width="100%" style="max-width:260px"'
    ' role="img" aria-label="cameras from above">'
    '<circle r="60" fill="none" stroke="#999"/>'
    '<circle r="30" fill="none" stroke="#999" stroke-dasharray="2 3"/>'
    '<text x="63" y="3" font-size="8" fill="#888">front</text>'
    f"{''.join(dots)}</svg>"
  )


def _one(poses):
  """Angles of a camera that looks at the origin; one alone aims at no point."""
  x, y, z = poses[:, :3, 3].T
  azimuth, elevation = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
  return np.degrees(azimuth), np.degrees(elevation)


def _color(index: int, num_done: int) -> str:
  if index == 0:
    return "#e4572e"
  return "#2e86ab" if index <= num_done else "#bbb"


def inspector(looked: Int[np.ndarray, "N T"]) -> str:
  """A table: a row a view, a cell a step, coloured by the view it looked at."""
  rows = []
  for i, row in enumerate(looked):
    cells = "".join(
      f'<td title="step {t + 1}: {"given" if v == 0 else f"view {v}"}"'
      f' style="background:{_hue(int(v))};width:9px;height:14px"></td>'
      for t, v in enumerate(row)
    )
    rows.append(f'<tr><th style="font-size:11px">{i + 1}</th>{cells}</tr>')
  return (
    "<p>A row is a generated view, a cell one of its denoising steps, from"
    " noise on the left to the picture on the right; the colour is the view it"
    f' looked at (<span style="background:{_hue(0)}">the given one</span>).</p>'
    f'<table style="border-spacing:1px">{"".join(rows)}</table>'
  )


def _hue(view: int) -> str:
  return "#e4572e" if view == 0 else f"hsl({170 + 137 * view % 180},55%,60%)"


@functools.cache
def _root() -> epath.Path:
  """Of this process, gone with it."""
  root = tempfile.mkdtemp(prefix="threedim_jax_demo_")
  atexit.register(shutil.rmtree, root, ignore_errors=True)
  return epath.Path(root)


def new_folder() -> epath.Path:
  """A folder for what one visitor gets; those of KEEP_SECONDS ago go."""
  for old in _root().iterdir():
    if time.time() - old.stat().mtime > KEEP_SECONDS:
      shutil.rmtree(old, ignore_errors=True)
  return epath.Path(tempfile.mkdtemp(dir=_root()))


def write_files(sampled: ObjectSamples) -> tuple[str, list[str]]:
  """(the orbit viewer as HTML, files to download) of all views so far."""
  root = new_folder()
  folder = samples.write_sample(root, sampled)
  show(folder, sampled)
  page = html.escape((folder / "viewer.html").read_text())
  archive = shutil.make_archive(str(root / "views"), "zip", folder)
  frame = (
    f'<iframe id="orbit-viewer" srcdoc="{page}" style="width:100%;'
    'height:560px;border:0" title="orbit viewer"></iframe>'
  )
  return frame, [archive, str(folder / "orbit.gif")]


def write_mesh_files(sampled: ObjectSamples) -> tuple[str, str]:
  """(GLB, PLY) of a field that is fitted to the views."""
  root = new_folder()
  folder = samples.write_sample(root, sampled)
  glb, ply, _ = write_mesh(folder)
  return str(glb), str(ply)


def thumbnail(image_u8: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "..."]:
  return upscale(image_u8, 128)
