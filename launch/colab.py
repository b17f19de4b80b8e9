# ---
# jupyter:
#   accelerator: GPU
#   colab:
#     gpuType: T4
#   jupytext:
#     cell_metadata_filter: cellView,tags,-all
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %%
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0

# %% [markdown]
# # 3DiM in JAX: views of an object from one picture
#
# The model gets one picture of an object and the camera that took it. It
# generates pictures from any other cameras, without building a 3D model (Watson
# et al., arXiv 2210.04628). The bundled model is small: it was trained on
# procedural chairs and cars at 64x64 pixels. Run the cells from the top; you do
# not have to fill in anything. The first orbit takes about 40 seconds on two
# CPU cores, most of it for compiling.

# %% cellView="form" tags=["parameters"]
# @title Settings
EXAMPLE = "car"  # @param ["car", "chair"]
NUM_VIEWS = 12  # @param {type:"integer"}
NUM_STEPS = 32  # @param {type:"integer"}
SEED = 0  # @param {type:"integer"}
TRAIN_EXAMPLES = 480  # @param {type:"integer"}

# %% cellView="form" tags=["setup"]
# @title Find threedim_jax, or install it; jax stays as it is
import importlib.metadata
import importlib.util
import pathlib
import subprocess
import sys

try:
  import google.colab  # noqa: F401

  IN_COLAB = True
except ImportError:
  IN_COLAB = False
PACKAGES = """array_record clu einops embreex grain imageio-ffmpeg jaxtyping
ml-collections opencv-python-headless rich scikit-image tensorboard
tensorflow-datasets trimesh"""


def find_code():
  """The folder of the repository, if it is here."""
  for folder in (pathlib.Path(".."), pathlib.Path("threedim_jax_code")):
    if (folder / "threedim_jax" / "main.py").exists():
      return folder.absolute()
  return None


CODE = find_code()
installed = importlib.util.find_spec("threedim_jax") is not None
while CODE is None and not installed:
  address = input(
    "Git address of threedim_jax (it is neither here nor installed): "
  )
  print(f"downloads {address} (about 10 MB)")
  clone = ["git", "clone", "-q", "--depth=1", address, "threedim_jax_code"]
  if subprocess.run(clone).returncode:
    print("This address cannot be cloned. Try another.")
  CODE = find_code()
if CODE is not None:
  sys.path[:0] = [str(CODE)]
# "-" and "_" mean the same in a name.
found = {
  d.name.lower().replace("_", "-") for d in importlib.metadata.distributions()
}
missing = [
  name for name in PACKAGES.split() if name.replace("_", "-") not in found
]
if missing:
  print("downloads from PyPI:", ", ".join(missing))
  subprocess.run(
    [sys.executable, "-m", "pip", "install", "-q", *missing], check=True
  )

# %%
import jax

import threedim_jax

if tuple(int(n) for n in jax.__version__.split(".")[:3]) < (0, 10, 2):
  print(
    f"jax {jax.__version__} is older than 0.10.2, the oldest that was tried"
  )
print("Python", sys.version.split()[0], "jax", jax.__version__, jax.devices())

# %% [markdown]
# ## The picture
# The examples are objects that the weights were not trained on. Azimuth 0 looks
# at the front of the object, 90 at its left side; chairs were trained at a
# distance of 2.0, cars at 1.3.

# %%
import json

import numpy as np
from PIL import Image

from threedim_jax.sampling.load import Settings, load_sampler
from threedim_jax.sampling.photo import Photo, photo_scene

sampler = load_sampler("shapes64")
EXAMPLES = pathlib.Path(threedim_jax.__file__).parent / "demo" / "examples"
entries = json.loads((EXAMPLES / "examples.json").read_text())
camera = next(e for e in entries if e["file"].startswith(EXAMPLE))
photo = Photo(
  str(EXAMPLES / camera["file"]),
  elevation=camera["elevation"],
  azimuth=camera["azimuth"],
  distance=camera["distance"],
)


def enlarged(image_u8, side=192):
  return Image.fromarray(image_u8).resize(
    (side, side), Image.Resampling.NEAREST
  )


scene = photo_scene(photo, sampler.resolution, NUM_VIEWS)
enlarged(scene.given.images_u8[0])

# %% [markdown]
# ## Or a picture of your own
# Set `OWN_PICTURE` to `True` and say from where the picture was taken. It needs
# a plain or transparent background.

# %% tags=["upload"]
OWN_PICTURE = False  # @param {type:"boolean"}
AZIMUTH = 40.0  # @param {type:"number"}
ELEVATION = 25.0  # @param {type:"number"}
DISTANCE = 2.0  # @param {type:"number"}
if OWN_PICTURE:
  if IN_COLAB:
    from google.colab import files

    (name, data), *_ = files.upload().items()
    pathlib.Path(name).write_bytes(data)
  else:
    name = input("file: ")
  photo = Photo(name, ELEVATION, AZIMUTH, DISTANCE)
  scene = photo_scene(photo, sampler.resolution, NUM_VIEWS)
enlarged(scene.given.images_u8[0])

# %% [markdown]
# ## Views, one after the other
# A finished view joins the known views. In every denoising step the model looks
# at one known view, drawn at random. This is why the views agree with each
# other.

# %%
import time

from IPython.display import HTML, display

settings = Settings(seed=SEED, num_sample_steps=NUM_STEPS, guidance_weight=0.5)
shown = display(enlarged(scene.given.images_u8[0]), display_id=True)
views = [scene.given.images_u8[0]]
for view_u8 in sampler.views(scene.given, scene.targets, settings):
  if len(views) == 1:  # the time of the first view includes compiling
    start = time.monotonic()
  views.append(view_u8)
  strip = Image.fromarray(np.concatenate(views, axis=1))
  shown.update(strip.resize((96 * len(views), 96), Image.Resampling.NEAREST))
if NUM_VIEWS > 1:
  print(f"{(time.monotonic() - start) / (NUM_VIEWS - 1):.2f} s a view")

# %% [markdown]
# ## Turn it
# Drag the picture to turn the object. The folder `samples` holds the views,
# their cameras (`transforms.json`), a GIF and this viewer.

# %%
import html
import shutil

from threedim_jax.viewing.show import show
from threedim_jax.workdir.samples import write_sample

samples = scene.samples(np.stack(views[1:]), settings.facts() | sampler.facts())
folder = write_sample("samples", samples)
show(folder, samples)
page = html.escape((folder / "viewer.html").read_text())
display(HTML(f'<iframe srcdoc="{page}" width="100%" height="640"></iframe>'))
archive = shutil.make_archive("views", "zip", folder)
if IN_COLAB:
  from google.colab import files

  files.download(archive)
print(archive)

# %% [markdown]
# ## Train, for three minutes
# This renders a small data set and trains the bundled weights further on it,
# with the configuration of the quickstart. It needs the repository; the package
# alone is not enough.

# %% tags=["train"]
import os

from matplotlib import pyplot as plt

if CODE is None:
  print("Training needs the repository: clone it and run this notebook there.")
else:
  data = ["--data_dir", "data", "--config", "quickstart"]
  few = ["--num_train_objects", "100", "--num_test_objects", "2"]
  build = [sys.executable, CODE / "datasets/build.py", "shapes", *data, *few]
  subprocess.run(build, check=True)
  train = [
    *(sys.executable, "-m", "threedim_jax.main", "--workdir=run"),
    f"--config={CODE / 'configs/quickstart.py'}",
    "--config.data.data_dir=data",
    f"--config.train.num_examples={TRAIN_EXAMPLES}",
    "--config.train.log_every_steps=1",
  ]
  env = {**os.environ, "PYTHONPATH": str(CODE)}
  subprocess.run(train, check=True, env=env)
  rows = [json.loads(s) for s in pathlib.Path("run/metrics.jsonl").open()]
  losses = [r["train/loss"] for r in rows if "train/loss" in r]
  plt.figure(figsize=(6, 2.5))
  plt.plot(losses)
  plt.xlabel("step")
  plt.ylabel("loss")
  plt.show()
