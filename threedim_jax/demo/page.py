# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The page of the demo, for Gradio 5 and 6.

Handlers are generators: a view is shown when it is done, and Stop, which ends
the generator, leaves what is there. All that belongs to a visitor is in their
own `gr.State`.
"""

from collections.abc import Iterator
import functools
import inspect
import json
import time

from etils import epath
import gradio as gr
import numpy as np

from threedim_jax.demo import outputs
from threedim_jax.diffusion.sampler import CONDITIONINGS
from threedim_jax.diffusion.solvers import SOLVERS
from threedim_jax.runtime.errors import UserError
from threedim_jax.sampling.load import (
  Sampler,
  Settings,
  load_sampler,
  looked_at,
)
from threedim_jax.sampling.photo import PATHS, Photo, photo_scene
from threedim_jax.sampling.scene import Scene
from threedim_jax.workdir.samples import ObjectSamples

MAX_UPLOAD = "10mb"
MAX_VIEWS = 48  # one compiled program serves every number of views up to it
EXAMPLES = epath.resource_path("threedim_jax") / "demo" / "examples"
INTRO = """# 3DiM: views of an object from one picture
Upload a picture on a plain or transparent background, or take an example, say
where it was taken from, and press *Generate*. The weights are small: procedural
chairs (distance 2.0) and cars (1.3) at {size}x{size} pixels. Other objects will
turn into one of these."""
FIT = "A mesh is a fit on generated views, as good as they agree."


def told(handler):
  """Turns a UserError into a message on the page."""

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


def read(
  sampler: Sampler, file, azimuth, elevation, distance, path, num_views
) -> Scene:
  """The scene that the visitor set."""
  if not file:
    raise UserError("Upload a picture first, or take an example below.")
  photo = Photo(
    file=file,
    azimuth=float(azimuth),
    elevation=float(elevation),
    distance=float(distance),
    path=path if path in PATHS else "orbit",
  )
  count = int(np.clip(num_views, 1, MAX_VIEWS))
  return photo_scene(photo, sampler.resolution, count)


def poses_of(scene: Scene) -> np.ndarray:
  """world_from_cam of the given view and of the wanted ones."""
  return np.concatenate(
    [scene.given.world_from_cam, scene.targets.world_from_cam]
  )


def settings_of(seed, steps, weight, solver, conditioning) -> Settings:
  if seed is None or not 0 <= seed < 2**32:  # the field may be empty
    raise UserError("The seed must be a whole number from 0 to 4294967295.")
  return Settings(
    seed=int(seed),
    num_sample_steps=int(steps),
    guidance_weight=float(weight),
    solver=solver,
    conditioning=conditioning,
  )


def gallery(sampled: ObjectSamples) -> list[tuple]:
  given = (outputs.thumbnail(sampled.given.images_u8[0]), "given")
  return [given] + [
    (outputs.thumbnail(view_u8), str(i + 1))
    for i, view_u8 in enumerate(sampled.generated.images_u8)
  ]


def sampling(
  sampler: Sampler, scene: Scene, settings: Settings
) -> Iterator[ObjectSamples]:
  """What there is before the first view and after each."""
  facts = settings.facts() | sampler.facts()
  views_u8 = np.zeros((0, *scene.given.images_u8.shape[1:]), np.uint8)
  yield scene.samples(views_u8, facts)
  for view_u8 in sampler.views(
    scene.given, scene.targets, settings, capacity=1 + MAX_VIEWS
  ):
    views_u8 = np.concatenate([views_u8, view_u8[None]])
    yield scene.samples(views_u8, facts)


def make_page(sampler: Sampler) -> gr.Blocks:
  """The page; `serve` shows it."""
  look = {}
  theme = gr.themes.Base(font=["sans-serif"], font_mono=["monospace"])
  if "theme" in inspect.signature(gr.Blocks.__init__).parameters:
    look["theme"] = theme  # Gradio 6 takes it in launch()

  @told
  def preview(*scene):
    scene = read(sampler, *scene)
    seen = outputs.thumbnail(scene.given.images_u8[0])
    return seen, outputs.camera_map(poses_of(scene), 0)

  @told
  def generate(*values):
    scene, settings = read(sampler, *values[:6]), settings_of(*values[6:])
    total, start = len(scene.index), time.monotonic()
    for made in sampling(sampler, scene, settings):
      done = len(made.generated)
      status = f"{done} of {total} views; the first one compiles"
      if done == 1:
        start = time.monotonic()
      elif done:
        each = (time.monotonic() - start) / (done - 1)
        status = (
          f"{done} of {total} views, {each:.1f} s a view,"
          f" {each * (total - done):.0f} s left"
        )
      picture = outputs.thumbnail(made.given.images_u8[0])
      where = outputs.camera_map(poses_of(scene), done)
      yield picture, where, gallery(made), status, made

  @told
  def finish(made):
    if made is None or not len(made.generated):
      raise UserError("There are no views yet: press Generate.")
    facts = made.info
    settings = Settings(
      seed=facts["seed"],
      num_sample_steps=facts["num_sample_steps"],
      conditioning=facts["conditioning"],
    )
    looked = looked_at(settings, len(made.generated))
    frame, files = outputs.write_files(made)
    status = f"{len(made.generated)} views are done"
    return frame, files, outputs.inspector(looked), status

  @told
  def mesh(made):
    if made is None or len(made.generated) < 3:
      raise UserError("A mesh needs three views at least: press Generate.")
    glb, ply = outputs.write_mesh_files(made)
    return glb, [glb, ply]

  @told
  def compare(*values):
    scene, rest = read(sampler, *values[:6]), values[6:-1]
    shown = {"stochastic": [], "first": []}
    for conditioning in shown:
      for made in sampling(sampler, scene, settings_of(*rest, conditioning)):
        shown[conditioning] = gallery(made)
        yield shown["stochastic"], shown["first"]

  # Gradio's own copies: how often to look for old ones, and how old.
  keep = outputs.KEEP_SECONDS, outputs.KEEP_SECONDS
  with gr.Blocks(
    title="3DiM", analytics_enabled=False, delete_cache=keep, **look
  ) as page:
    gr.Markdown(INTRO.format(size=sampler.resolution))
    made = gr.State(None)
    with gr.Row():
      with gr.Column(scale=1):
        file = gr.Image(type="filepath", label="picture", elem_id="picture")
        azimuth = gr.Slider(-180, 180, 40, step=1, label="azimuth (0 = front)")
        elevation = gr.Slider(-20, 80, 25, step=1, label="elevation")
        distance = gr.Slider(0.8, 3, 2, step=0.1, label="distance")
        gr.Examples(
          read_examples(),
          [file, azimuth, elevation, distance],
          label="examples",
        )
        with gr.Row():
          seen = gr.Image(label="as the model sees it", interactive=False)
          where = gr.HTML(outputs.camera_map(np.zeros((0, 4, 4)), 0))
        path = gr.Radio(list(PATHS), value="orbit", label="views along")
        num_views = gr.Slider(
          1, MAX_VIEWS, 12, step=1, label="views", elem_id="num-views"
        )
        with gr.Accordion("sampler", open=False):
          seed = gr.Number(0, precision=0, label="seed")
          steps = gr.Slider(2, 256, 32, step=1, label="steps")
          weight = gr.Slider(0, 5, 0.5, step=0.1, label="guidance")
          solver = gr.Dropdown(list(SOLVERS), value="ancestral", label="solver")
          conditioning = gr.Dropdown(
            list(CONDITIONINGS), value="stochastic", label="conditioning"
          )
        with gr.Row():
          go = gr.Button("Generate", variant="primary", elem_id="generate")
          stop = gr.Button("Stop", elem_id="stop")
      with gr.Column(scale=2):
        status = gr.Markdown("", elem_id="status")
        with gr.Tab("views"):
          views = gr.Gallery(label="views", columns=6, elem_id="views")
          viewer = gr.HTML("")
          files = gr.File(label="downloads", file_count="multiple")
        with gr.Tab("what each step looked at"):
          table = gr.HTML("")
        with gr.Tab("mesh"):
          gr.Markdown(FIT)
          fit = gr.Button("Fit a mesh")
          model = gr.Model3D(label="mesh")
          mesh_files = gr.File(label="GLB, PLY", file_count="multiple")
        with gr.Tab("stochastic against naive"):
          both = gr.Button("Sample both with the same seed")
          stochastic = gr.Gallery(label="stochastic conditioning", columns=6)
          naive = gr.Gallery(label="first view only", columns=6)

    scene = [file, azimuth, elevation, distance, path, num_views]
    sampler = [seed, steps, weight, solver, conditioning]
    made_of = {"fn": finish, "inputs": made}
    shown = [viewer, files, table, status]
    for control in scene:
      control.change(preview, scene, [seen, where], show_progress="hidden")
    run = go.click(
      generate, scene + sampler, [seen, where, views, status, made]
    )
    run.success(**made_of, outputs=shown)
    stop.click(**made_of, outputs=shown, cancels=[run])
    fit.click(mesh, made, [model, mesh_files])
    both.click(compare, scene + sampler, [stochastic, naive])
  page.theme_for_launch = {} if look else {"theme": theme}
  return page


def read_examples() -> list[list]:
  """[picture, azimuth, elevation, distance] of every bundled example."""
  entries = json.loads((EXAMPLES / "examples.json").read_text())
  return [
    [str(EXAMPLES / e["file"]), e["azimuth"], e["elevation"], e["distance"]]
    for e in entries
  ]


def serve(host: str, port: int, weights: str, **launch_options) -> gr.Blocks:
  """Shows the page; blocks unless told `prevent_thread_lock`.

  Raises:
    UserError: the port cannot be had.
  """
  page = make_page(load_sampler(weights))
  page.queue(default_concurrency_limit=2)
  try:
    page.launch(
      server_name=host,
      server_port=port,
      share=False,
      max_file_size=MAX_UPLOAD,
      allowed_paths=[str(EXAMPLES)],
      **page.theme_for_launch,
      **launch_options,
    )
  except (OSError, OverflowError) as e:  # no such port
    raise UserError(
      f"The page cannot be served at {host}:{port}: another program has that"
      " port, or there is no such address here. Name another with --port."
    ) from e
  return page
