# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes what the demo shows: pieces of HTML, and files to download."""

import atexit
import contextlib
import functools
import html
import json
import shutil
import tempfile
import time

from etils import epath
from jaxtyping import Int, UInt8
import numpy as np

from threedim_jax.evaluation.fields.mesh import agreement_text, write_mesh
from threedim_jax.sampling.scene import Scene
from threedim_jax.viewing.page import picture_uri
from threedim_jax.viewing.show import show
from threedim_jax.viewing.viewer import view_angles
from threedim_jax.views.metrics import is_foreground
from threedim_jax.workdir.samples import ObjectSamples, write_sample

KEEP_SECONDS = 3600  # files can be downloaded for this long

GIVEN_COLOR, DONE_COLOR, WAITING_COLOR = "#e4572e", "#2e86ab", "#bbb"

STYLE = """<style>
.views {display: grid; gap: 6px;
  grid-template-columns: repeat(auto-fill, minmax(92px, 1fr))}
.seen {display: flex; gap: 10px}
.seen > * {flex: 1 1 0; min-width: 0}
.views figure, .seen figure {margin: 0}
.views img, .seen img, .seen svg {width: 100%; aspect-ratio: 1; display: block;
  max-height: 130px;
  object-fit: contain; background: #fff; border-radius: 4px;
  image-rendering: pixelated}
.views .waiting {aspect-ratio: 1; border: 1px dashed #999; border-radius: 4px}
.views figcaption, .seen figcaption {font-size: 12px; text-align: center}
.looked {table-layout: fixed; width: 100%; border-spacing: 1px}
.looked th {width: 2em; font-size: 11px}
.looked td {height: 14px; padding: 0}
#style {position: absolute}
/* On a phone: all examples in one row, and buttons of one height. */
@media (max-width: 500px) {
  #examples .gallery {gap: 6px; flex-wrap: nowrap}
  #examples .gallery-item, #examples .gallery-item * {max-width: 74px}
  #upload, #generate, #stop {font-size: 14px; padding: 8px 4px;
    white-space: nowrap}
}
#orbit-viewer {width: 100%; height: 640px; border: 0; display: block}
</style>"""


def picture(image_u8: UInt8[np.ndarray, "H W 3"], caption: str) -> str:
  src = picture_uri(image_u8)
  return (
    f'<figure><img src="{src}" alt="{caption}">'
    f"<figcaption>{caption}</figcaption></figure>"
  )


def pictures(photo_u8: UInt8[np.ndarray, "H W 3"], scene: Scene) -> str:
  """Returns HTML with the visitor's picture next to the model's input.

  Args:
    photo_u8: the visitor's whole picture, with transparent parts made white.
    scene: the scene whose given view is the model's input.
  """
  pair = picture(photo_u8, "your picture") + picture(
    scene.given.images_u8[0], "as the model sees it"
  )
  return f'<div class="seen">{pair}</div>'


def camera_map(scene: Scene, num_done: int) -> str:
  """Returns HTML with a map of the scene's cameras, seen from above.

  A camera straight above the object would be at the centre of the map. The
  solid circle is elevation 0. The given camera has its own colour. The first
  `num_done` target cameras have the colour of finished views.
  """
  poses = np.concatenate(
    [scene.given.world_from_cam, scene.targets.world_from_cam]
  )
  azimuth, elevation = view_angles(poses)
  radius = 60 * np.minimum((90 - elevation) / 90, 1.25)
  x = radius * np.cos(np.radians(azimuth))
  y = -radius * np.sin(np.radians(azimuth))
  colors = [GIVEN_COLOR] + [
    DONE_COLOR if i < num_done else WAITING_COLOR for i in range(len(poses) - 1)
  ]
  dots = [
    f'<circle cx="{x[i]:.1f}" cy="{y[i]:.1f}" r="{6 if i == 0 else 3.5}"'
    f' fill="{colors[i]}"><title>{"given" if i == 0 else i}: azimuth'
    f" {azimuth[i]:.0f}, elevation {elevation[i]:.0f}</title></circle>"
    for i in reversed(range(len(poses)))
  ]
  return (
    '<div class="seen"><figure><svg viewBox="-85 -85 170 170" role="img"'
    ' aria-label="cameras from above">'
    '<circle r="60" fill="none" stroke="#999"/>'
    '<circle r="30" fill="none" stroke="#999" stroke-dasharray="2 3"/>'
    '<text x="62" y="3" font-size="9" fill="#777">front</text>'
    f"{''.join(dots)}</svg><figcaption>cameras</figcaption></figure></div>"
  )


def views_grid(sampled: ObjectSamples, total: int) -> str:
  """Returns HTML with the given view, the finished views, and empty tiles.

  `total` is the number of views to generate. Each unfinished view is shown as
  an empty tile.
  """
  done = sampled.generated.images_u8
  tiles = [picture(sampled.given.images_u8[0], "given")]
  tiles += [picture(view_u8, str(i + 1)) for i, view_u8 in enumerate(done)]
  tiles += [
    '<figure><div class="waiting"></div>'
    f"<figcaption>{i + 1}</figcaption></figure>"
    for i in range(len(done), total)
  ]
  return f'<div class="views">{"".join(tiles)}</div>'


def looked_at_table(looked: Int[np.ndarray, "N T"]) -> str:
  """Returns an HTML table that shows which view each denoising step looked at.

  Each row is a generated view, and each cell is one of its denoising steps. The
  colour of a cell stands for the view that the step was conditioned on.

  Args:
    looked: the view that each of T denoising steps looked at, for each of N
      generated views: 0 for the given view, i for generated view i.
  """
  rows = []
  for i, row in enumerate(looked):
    cells = "".join(
      f'<td title="step {t + 1}: {"given" if v == 0 else f"view {v}"}"'
      f' style="background:{_hue(int(v))}"></td>'
      for t, v in enumerate(row)
    )
    rows.append(f"<tr><th>{i + 1}</th>{cells}</tr>")
  return (
    "<p>Each row is a generated view, each cell one of its denoising steps,"
    " from noise on the left to the picture on the right. The colour says which"
    f' view the step looked at (<span style="background:{_hue(0)}">the given'
    f' one</span>).</p><table class="looked">{"".join(rows)}</table>'
  )


def _hue(view: int) -> str:
  if view == 0:
    return GIVEN_COLOR
  return f"hsl({170 + 137 * view % 180},55%,60%)"


# ------------------------------------------------------------- comparison


def color_numbers(sampled: ObjectSamples) -> tuple[float, float]:
  """Measures how much the object's mean colour differs between views.

  Each colour channel is compared separately, on a scale from 0 to 255.

  Returns:
    (largest difference between two generated views, mean difference between the
    generated views and the given view).
  """
  given = _mean_color(sampled.given.images_u8[0])
  colors = np.stack([_mean_color(v) for v in sampled.generated.images_u8])
  change = np.abs(colors[:, None] - colors[None]).max()
  return float(change), float(np.abs(colors - given).mean())


def _mean_color(image_u8: UInt8[np.ndarray, "H W 3"]) -> np.ndarray:
  (shown,) = is_foreground(image_u8[None] / np.float32(255))
  return image_u8[shown].mean(axis=0) if shown.any() else np.full(3, 255.0)


def comparison_text(
  stochastic: ObjectSamples, first: ObjectSamples, total: int
) -> str:
  """Returns Markdown that explains how to compare two series of views.

  Once all views are done, the text includes a table of `color_numbers`.

  Args:
    stochastic: the views so far with stochastic conditioning.
    first: the views so far that are conditioned only on the given view.
    total: number of views that each series will have.
  """
  text = (
    "Both rows start from the same noise. With **stochastic conditioning** each"
    " denoising step looks at a random known view; with **the first view only**"
    " it always looks at the given one. Look for two things: do the views agree"
    " *with each other*, and do they still show *the given object*?"
  )
  if min(len(stochastic.generated), len(first.generated)) < total:
    return text
  numbers = {"Stochastic": stochastic, "First view only": first}
  rows = [
    f"| {name} | {color_numbers(s)[0]:.0f} | {color_numbers(s)[1]:.0f} |"
    for name, s in numbers.items()
  ]
  return "\n".join(
    [
      text,
      "",
      "| mean colour of the object, in levels of 255 | largest change between"
      " two views | mean difference from the given view |",
      "| --- | --- | --- |",
      *rows,
    ]
  )


# ------------------------------------------------------------------ files


@functools.cache
def _root() -> epath.Path:
  """Returns the temporary folder for the files of all visitors.

  Every call in a process returns the same folder. The folder is deleted when
  the process ends.
  """
  root = tempfile.mkdtemp(prefix="threedim_jax_demo_")
  atexit.register(shutil.rmtree, root, ignore_errors=True)
  return epath.Path(root)


def new_folder() -> epath.Path:
  """Makes a folder for a visitor's files, and deletes expired folders.

  A folder expires when it is older than `KEEP_SECONDS`.
  """
  for old in _root().iterdir():
    with contextlib.suppress(
      FileNotFoundError
    ):  # another visitor's call did it
      if time.time() - old.stat().mtime > KEEP_SECONDS:
        shutil.rmtree(old, ignore_errors=True)
  return epath.Path(tempfile.mkdtemp(dir=_root()))


def write_files(sampled: ObjectSamples) -> tuple[str, list[str]]:
  """Writes the finished views into a new folder, for the visitor to download.

  Returns:
    (HTML of the orbit viewer, [path of a ZIP file with all files, path of a GIF
    of the orbit]).
  """
  root = new_folder()
  folder = write_sample(root, sampled)
  show(folder, sampled)
  page = html.escape((folder / "viewer.html").read_text())
  archive = shutil.make_archive(str(root / "views"), "zip", folder)
  # Makes the frame as high as its page, so that no caption is cut off.
  fit = "this.style.height=this.contentDocument.body.scrollHeight+24+'px'"
  frame = (
    f'<iframe id="orbit-viewer" srcdoc="{page}" onload="{fit}"'
    ' title="orbit viewer"></iframe>'
  )
  return frame, [archive, str(folder / "orbit.gif")]


def write_mesh_files(sampled: ObjectSamples) -> tuple[str, list[str], str]:
  """Fits a mesh to the finished views, and writes the mesh into a new folder.

  Returns:
    (path of the GLB file, [paths of the GLB and the PLY file], sentence that
    says how well the views agree).
  """
  root = new_folder()
  folder = write_sample(root, sampled)
  glb, ply, facts = write_mesh(folder)
  psnr = json.loads(facts.read_text())["psnr_of_the_fit"]
  return str(glb), [str(glb), str(ply)], agreement_text(psnr)
