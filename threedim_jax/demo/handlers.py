# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The functions behind the demo's buttons ("handlers"), without the layout.

A handler that samples is a generator, so the page shows each view as soon as
the view is done. The Stop button ends the generator after the next view, and
the finished views stay on the page. Each visitor's views are kept in a separate
`gr.State`.
"""

from collections.abc import Callable, Iterator
import functools
import inspect
import os
import time

import gradio as gr
import numpy as np
from PIL import Image

from threedim_jax.demo import outputs
from threedim_jax.inputs.photo import open_photo
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.progress import duration
from threedim_jax.sampling.photo import PATHS, Photo, photo_scene
from threedim_jax.sampling.scene import Scene
from threedim_jax.sampling.view_sampler import Sampler, Settings, looked_at
from threedim_jax.workdir.samples import ObjectSamples

MAX_VIEWS = 48  # one compiled program makes any number of views up to this
CAPACITY = 1 + MAX_VIEWS

# The page opens with these settings. They change the colour of the first two
# examples least, by 52 levels of 255 on average, against 63 with guidance 0.5
# and 66 with stochastic conditioning (python tests/support/color_drift.py
# --out=DIR --steps=16 --examples=2).
DEFAULTS = Settings(guidance_weight=0.0, conditioning="first")


def show_errors(handler: Callable) -> Callable:
  """Wraps a handler so that the page shows a UserError as a message.

  The wrapped handler is a generator. It yields what `handler` yields or
  returns.
  """

  @functools.wraps(handler)
  def wrapped(*args):
    try:
      result = handler(*args)
      if inspect.isgenerator(result):
        yield from result
      else:
        yield result
    except UserError as e:
      raise gr.Error(str(e), print_exception=False) from e

  return wrapped


def read_settings(seed, steps, weight, solver, conditioning) -> Settings:
  """Makes sampler settings from the values of the page's controls.

  Args:
    seed: seed of the sampler; None if the visitor left the field empty.
    steps: number of denoising steps.
    weight: guidance weight.
    solver: name of a solver.
    conditioning: how each denoising step chooses the view that it looks at,
      such as "stochastic".

  Raises:
    UserError: the seed is missing or out of range.
  """
  if seed is None or not 0 <= seed < 2**32:  # the field may be empty
    raise UserError("The seed must be a whole number from 0 to 4294967295.")
  return Settings(
    seed=int(seed),
    num_sample_steps=int(steps),
    guidance_weight=float(weight),
    solver=solver,
    conditioning=conditioning,
  )


class Handlers:
  """The functions behind the demo's buttons, for one loaded sampler.

  Attributes:
    sampler: generates views with the trained weights.
    compile_seconds: how long compiling the sampler took on this machine; 0
      before `measure` is called.
    view_seconds: how long sampling one view with the settings `DEFAULTS` takes
      on this machine; 0 before `measure` is called.
  """

  def __init__(self, sampler: Sampler):
    self.sampler = sampler
    self.compile_seconds = self.view_seconds = 0.0

  def measure(self) -> None:
    """Sets `compile_seconds` and `view_seconds` by sampling with `DEFAULTS`."""
    self.compile_seconds, self.view_seconds = self.sampler.measure(
      DEFAULTS, CAPACITY
    )

  def read_scene(
    self, file, azimuth, elevation, distance, path, num_views
  ) -> Scene:
    """Reads the visitor's picture, and places the cameras of the new views.

    Args:
      file: path of the picture; empty if there is none.
      azimuth: azimuth of the picture's camera, in degrees.
      elevation: elevation of the picture's camera, in degrees.
      distance: distance of the picture's camera from the object.
      path: the curve on which the new cameras lie, such as "orbit".
      num_views: number of views to generate.

    Raises:
      UserError: there is no picture, or the picture cannot be used. The message
        names the file without its path on the server.
    """
    if not file:
      raise UserError("Upload a picture first, or choose an example.")
    photo = Photo(
      file=file,
      azimuth=float(azimuth),
      elevation=float(elevation),
      distance=float(distance),
      path=path if path in PATHS else "orbit",
    )
    count = int(np.clip(num_views, 1, MAX_VIEWS))
    try:
      return photo_scene(photo, self.sampler.resolution, count)
    except UserError as e:
      name = os.path.basename(file)
      raise UserError(str(e).replace(str(file), name)) from e

  def preview(self, *values) -> tuple[str, str]:
    """Draws the visitor's picture and the cameras before anything is sampled.

    `values` are the arguments of `read_scene`.

    Returns:
      (HTML with the visitor's picture next to the model's input, HTML with a
      map of the cameras).
    """
    scene = self.read_scene(*values)
    photo = open_photo(values[0]).convert("RGBA")
    photo.thumbnail((260, 260))
    paper = Image.new("RGBA", photo.size, "white")
    photo_u8 = np.asarray(Image.alpha_composite(paper, photo).convert("RGB"))
    return outputs.pictures(photo_u8, scene), outputs.camera_map(scene, 0)

  def sample(self, scene: Scene, settings: Settings) -> Iterator[ObjectSamples]:
    """Samples the views of a scene one by one, and yields all samples so far.

    The first item has no generated view, and each later item has one more.
    """
    facts = settings.facts() | self.sampler.facts()
    views_u8 = np.zeros((0, *scene.given.images_u8.shape[1:]), np.uint8)
    yield scene.samples(views_u8, facts)
    for view_u8 in self.sampler.views(
      scene.given, scene.targets, settings, capacity=CAPACITY
    ):
      views_u8 = np.concatenate([views_u8, view_u8[None]])
      yield scene.samples(views_u8, facts)

  def generate(self, *values) -> Iterator[tuple]:
    """Samples the views of a scene, and yields what the page shows meanwhile.

    Args:
      *values: the six arguments of `read_scene`, then those of `read_settings`.

    Yields:
      (HTML with a map of the cameras, HTML with the finished views, status
      text, samples so far), once before the first view and once after each
      view.
    """
    scene, settings = self.read_scene(*values[:6]), read_settings(*values[6:])
    total = len(scene.index)
    status = f"Sampling view 1 of {total}."
    if not self.sampler.is_compiled(settings, CAPACITY):
      status = (
        f"Compiling the sampler for these settings, once: about"
        f" {duration(self.compile_seconds)}. Then {total} views follow, about"
        f" {duration(total * self.view_seconds)}."
      )
    start = None
    for sampled in self.sample(scene, settings):
      done, now = len(sampled.generated), time.monotonic()
      if done == 1:
        start = now
        status = f"View 1 of {total} is done, view 2 is being sampled."
      elif done > 1:
        left = (now - start) / (done - 1) * (total - done)
        status = (
          f"{done} of {total} views are done, about {duration(left)} to go."
        )
      if done == total:
        status = f"All {total} views are done. The orbit is being made."
      yield (
        outputs.camera_map(scene, done),
        outputs.views_grid(sampled, total),
        status,
        sampled,
      )

  def finish(self, sampled: ObjectSamples | None) -> tuple:
    """Writes the finished views to files, and returns what the page then shows.

    `sampled` holds the samples that `generate` yielded last.

    Returns:
      (HTML of the orbit viewer, paths of files to download, HTML from
      `looked_at_table`, status text).

    Raises:
      UserError: there are no finished views.
    """
    if sampled is None or not len(sampled.generated):
      raise UserError("There are no views yet: press Generate.")
    count, facts = len(sampled.generated), sampled.info
    settings = Settings(
      seed=facts["seed"],
      num_sample_steps=facts["num_sample_steps"],
      conditioning=facts["conditioning"],
    )
    table = outputs.looked_at_table(looked_at(settings, count))
    viewer, files = outputs.write_files(sampled)
    views = "1 view is" if count == 1 else f"{count} views are"
    return viewer, files, table, f"{views} done. Drag the orbit to turn it."

  def mesh(self, sampled: ObjectSamples | None) -> tuple:
    """Fits a mesh to the finished views.

    `sampled` holds the samples that `generate` yielded last.

    Returns:
      (path of the GLB file, paths of files to download, sentence that says how
      well the views agree).

    Raises:
      UserError: there are no finished views, or no mesh can be fitted to them.
    """
    if sampled is None or not len(sampled.generated):
      raise UserError("There are no views yet: press Generate.")
    return outputs.write_mesh_files(sampled)

  def compare(self, *values) -> Iterator[tuple]:
    """Samples the same views twice, with two ways of conditioning.

    With stochastic conditioning, each denoising step looks at a random known
    view. With first-view conditioning, every step looks at the given view.

    Args:
      *values: the arguments of `generate`. The last of them, `conditioning`, is
        ignored.

    Yields:
      (HTML with the views from stochastic conditioning, HTML with the views
      from first-view conditioning, an explanation as Markdown), once before
      each of the two series and once after each view.
    """
    scene, rest = self.read_scene(*values[:6]), values[6:-1]
    total = len(scene.index)
    empty = next(self.sample(scene, DEFAULTS))
    shown = {"stochastic": empty, "first": empty}
    for conditioning in shown:
      settings = read_settings(*rest, conditioning)
      for sampled in self.sample(scene, settings):
        shown[conditioning] = sampled
        grids = [outputs.views_grid(s, total) for s in shown.values()]
        yield *grids, outputs.comparison_text(*shown.values(), total)
