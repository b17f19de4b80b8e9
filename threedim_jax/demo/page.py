# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The layout of the demo's page, for Gradio 5 and 6.

The buttons and sliders call the functions in `handlers`.
"""

import inspect
import json
import socket
import types

import gradio as gr

from threedim_jax.demo import EXAMPLES, outputs
from threedim_jax.demo.handlers import (
  DEFAULTS,
  MAX_VIEWS,
  Handlers,
  show_errors,
)
from threedim_jax.diffusion.sampler import CONDITIONINGS
from threedim_jax.diffusion.solvers import SOLVERS
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.progress import duration
from threedim_jax.sampling.load import load_sampler
from threedim_jax.sampling.photo import PATHS

MAX_UPLOAD = "50mb"  # more than `open_photo` reads, so its message is shown
NUM_VIEWS = 12  # when the page opens
INTRO = """## 3DiM: views of an object from one picture
The model is small. It was trained on procedural chairs and cars at
{size}x{size} pixels and turns any other object into one of these. A view takes
about {duration} here."""
HOW = (
  "Use a picture with a plain or transparent background. Azimuth 0 means that"
  " it shows the front of the object, 90 its left side. In training the camera"
  " was at distance 2.0 from chairs and 1.3 from cars."
)
FIT = (
  "A mesh is fitted to the generated views. Where the views contradict each"
  " other, the mesh is wrong."
)


def read_examples() -> list[tuple[str, float | int, float | int, float | int]]:
  """Returns (path, azimuth, elevation, distance) of each example picture.

  Azimuth and elevation, in degrees, and distance are those of the picture's
  camera. The pictures are installed with the package.
  """
  entries = json.loads((EXAMPLES / "examples.json").read_text())
  return [
    (str(EXAMPLES / e["file"]), e["azimuth"], e["elevation"], e["distance"])
    for e in entries
  ]


def make_page(handlers: Handlers) -> gr.Blocks:
  """Builds the whole page of the demo, which `serve` then shows."""
  theme = gr.themes.Base(font=["sans-serif"], font_mono=["monospace"])
  in_blocks = "theme" in inspect.signature(gr.Blocks.__init__).parameters
  look = {"theme": theme} if in_blocks else {}  # Gradio 6 takes it in launch()
  # How often Gradio deletes its copies of files, and how old they must be.
  keep = outputs.KEEP_SECONDS, outputs.KEEP_SECONDS
  with gr.Blocks(
    title="3DiM", analytics_enabled=False, delete_cache=keep, **look
  ) as page:
    gr.HTML(outputs.STYLE, padding=False, elem_id="style")
    gr.Markdown(
      INTRO.format(
        size=handlers.sampler.resolution,
        duration=duration(handlers.view_seconds),
      ),
      elem_id="intro",
    )
    with gr.Row():
      with gr.Column(scale=2, min_width=320):
        given = _given_column()
      with gr.Column(scale=3, min_width=320):
        made = _made_column()
    _connect(page, handlers, given, made)
  page.theme_for_launch = {} if look else {"theme": theme}
  return page


def _given_column() -> types.SimpleNamespace:
  """Adds the page's left column: picture, buttons, status, camera and settings.

  Returns:
    The controls of the column by name. In addition, `scene` lists the controls
    with the arguments of `read_scene`, and `sampler` those of `read_settings`.
  """
  examples = read_examples()
  _, azimuth, elevation, distance = examples[0]
  c = types.SimpleNamespace()
  c.file = gr.State(examples[0][0])
  with gr.Row():
    c.upload = gr.UploadButton(
      "Upload a picture", elem_id="upload", min_width=100
    )
    c.go = gr.Button(
      "Generate", variant="primary", elem_id="generate", min_width=100
    )
    c.stop = gr.Button("Stop", elem_id="stop", min_width=60, scale=0)
  # Near the buttons, because on a phone the views are off the screen.
  c.status = gr.Markdown(
    "Press Generate. For your own picture, set azimuth and elevation first.",
    elem_id="status",
  )
  c.examples = gr.Dataset(
    components=[gr.Image(visible=False)],
    samples=[[example[0]] for example in examples],
    type="index",
    label="or an example",
    elem_id="examples",
  )
  with gr.Row():
    with gr.Column(scale=2, min_width=180):
      c.pictures = gr.HTML(elem_id="pictures", padding=False)
    with gr.Column(scale=1, min_width=90):
      c.map = gr.HTML(elem_id="map", padding=False)
  with gr.Row():
    c.azimuth = gr.Slider(
      *(-180, 180, azimuth),
      step=1,
      label="azimuth",
      min_width=140,
      elem_id="azimuth",
    )
    c.elevation = gr.Slider(
      *(-20, 80, elevation),
      step=1,
      label="elevation",
      min_width=140,
      elem_id="elevation",
    )
  with gr.Accordion(
    "distance, path, number of views", open=False, elem_id="more"
  ):
    gr.Markdown(HOW)
    c.distance = gr.Slider(0.8, 3, distance, step=0.1, label="distance")
    c.path = gr.Radio(list(PATHS), value="orbit", label="path of the cameras")
    c.num_views = gr.Slider(
      1, MAX_VIEWS, NUM_VIEWS, step=1, label="views", elem_id="num-views"
    )
  with gr.Accordion("sampler", open=False, elem_id="sampler"):
    c.seed = gr.Number(DEFAULTS.seed, precision=0, label="seed")
    c.steps = gr.Slider(
      2, 256, DEFAULTS.num_sample_steps, step=1, label="steps", elem_id="steps"
    )
    c.weight = gr.Slider(
      0, 5, DEFAULTS.guidance_weight, step=0.1, label="guidance"
    )
    c.solver = gr.Dropdown(list(SOLVERS), value=DEFAULTS.solver, label="solver")
    c.conditioning = gr.Dropdown(
      list(CONDITIONINGS), value=DEFAULTS.conditioning, label="conditioning"
    )
  c.scene = [*(c.file, c.azimuth, c.elevation, c.distance, c.path, c.num_views)]
  c.sampler = [c.seed, c.steps, c.weight, c.solver, c.conditioning]
  return c


def _made_column() -> types.SimpleNamespace:
  """Adds the page's right column: tabs with everything that is generated.

  Returns:
    The components of the column by name.
  """
  c = types.SimpleNamespace(samples=gr.State(None))
  with gr.Tab("views"):
    c.views = gr.HTML(
      "The views appear here, one after the other.",
      elem_id="views",
      padding=False,
    )
    c.viewer = gr.HTML(elem_id="viewer", padding=False)
    c.files = gr.File(label="downloads", file_count="multiple", visible=False)
  with gr.Tab("what each step looked at"):
    c.table = gr.HTML("Generate views first.", elem_id="looked")
  with gr.Tab("mesh"):
    gr.Markdown(FIT)
    c.fit = gr.Button("Fit a mesh", elem_id="fit")
    c.agreement = gr.Markdown(elem_id="agreement")
    c.model = gr.Model3D(label="mesh", height=360)
    c.mesh_files = gr.File(label="GLB, PLY", file_count="multiple")
  with gr.Tab("stochastic against first view"):
    c.compare = gr.Button("Sample both with the same seed", elem_id="compare")
    c.comparison = gr.Markdown(elem_id="comparison")
    gr.Markdown("**Stochastic conditioning**")
    c.stochastic = gr.HTML(elem_id="stochastic", padding=False)
    gr.Markdown("**First view only**")
    c.first = gr.HTML(elem_id="first", padding=False)
  return c


def _connect(page, handlers: Handlers, given, made) -> None:
  """Connects the page's buttons and sliders to the handlers.

  `given` and `made` are the results of `_given_column` and `_made_column`.
  """
  preview = {
    "fn": show_errors(handlers.preview),
    "inputs": given.scene,
    "outputs": [given.pictures, given.map],
    "show_progress": "hidden",
  }
  page.load(**preview)
  for control in given.scene:
    control.change(**preview)
  given.upload.upload(lambda file: file, given.upload, given.file)
  given.examples.click(
    lambda index: read_examples()[index],
    given.examples,
    [given.file, given.azimuth, given.elevation, given.distance],
  )
  # The sessions that pressed Stop while their views were being sampled.
  stopped = set()

  def generate(request: gr.Request, *values):
    stopped.discard(request.session_hash)
    for update in handlers.generate(*values):
      yield update
      if request.session_hash in stopped:
        return

  def stop(request: gr.Request):
    stopped.add(request.session_hash)

  def finish(samples):
    viewer, files, table, status = handlers.finish(samples)
    return viewer, gr.File(value=files, visible=True), table, status

  run = given.go.click(
    show_errors(generate),
    given.scene + given.sampler,
    [given.map, made.views, given.status, made.samples],
    show_progress="hidden",
  )
  finished = [made.viewer, made.files, made.table, given.status]
  run.success(show_errors(finish), made.samples, finished)
  # With Gradio's own `cancels`, an old status can replace that of `finish`.
  given.stop.click(stop, queue=False)
  made.fit.click(
    show_errors(handlers.mesh),
    made.samples,
    [made.model, made.mesh_files, made.agreement],
  )
  made.compare.click(
    show_errors(handlers.compare),
    given.scene + given.sampler,
    [made.stochastic, made.first, made.comparison],
    show_progress="hidden",
  )


def serve(host: str, port: int, weights: str, **launch_options) -> gr.Blocks:
  """Loads bundled weights by name, and serves the page.

  The call returns when the server stops. With `prevent_thread_lock=True` among
  the `launch_options`, the call returns as soon as the server runs.

  Args:
    host: address to serve at; "0.0.0.0" makes the page visible to the network.
    port: port to serve at.
    weights: name of bundled weights, such as "shapes64".
    **launch_options: further arguments of Gradio's `launch`.

  Raises:
    UserError: there are no such weights, the port is taken, or the page does
      not answer.
  """
  not_served = UserError(
    f"The page cannot be served at {host}:{port}: another program has that"
    " port, or there is no such address here. Name another with --port."
  )
  family = socket.AF_INET6 if ":" in host else socket.AF_INET
  try:  # before a minute of compiling
    socket.create_server((host.strip("[]"), port), family=family).close()
  except (OSError, OverflowError) as e:  # no such port
    raise not_served from e
  handlers = Handlers(load_sampler(weights))
  handlers.measure()
  page = make_page(handlers)
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
  except OSError as e:  # another program took the port meanwhile
    raise not_served from e
  except ValueError as e:  # Gradio got no answer from its own page
    if "localhost" not in str(e):
      raise
    raise UserError(
      f"The page at {host}:{port} does not answer: this machine is very busy,"
      " or a proxy hides localhost (set NO_PROXY=localhost,127.0.0.1). Try"
      " again."
    ) from e
  return page
