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
# One picture and its camera in, any number of views out, with no geometry in
# between (Watson et al., arXiv 2210.04628). The weights that ship are small:
# procedural chairs and cars at 32x32 pixels. A view takes a second or so, the
# first one half a minute more, to compile.

# %% cellView="form" tags=["parameters"]
# @title Settings
# Where this notebook is from: a git address, a folder; "": the folder above.
REPO = ""  # @param {type:"string"}
REF = "main"  # @param {type:"string"}
SEED = 0  # @param {type:"integer"}
NUM_VIEWS = 12  # @param {type:"integer"}
NUM_STEPS = 32  # @param {type:"integer"}
GUIDANCE = 0.5  # @param {type:"number"}
OBJECT = "chair"  # @param ["chair", "car"]
TRAIN_EXAMPLES = 480  # @param {type:"integer"}

# %% cellView="form" tags=["setup"]
# @title Install, once; the jax of this runtime stays as it is
import importlib.metadata
import pathlib
import subprocess
import sys

try:
  import google.colab  # noqa: F401

  IN_COLAB = True
except ImportError:
  IN_COLAB = False

CODE = pathlib.Path(REPO or "..").absolute()
if not (CODE / "threedim_jax" / "main.py").exists():
  if "://" not in REPO:
    raise SystemExit("Set REPO to the git address of threedim_jax.")
  CODE = pathlib.Path("threedim_jax_code").absolute()
  if not CODE.exists():
    clone = ["git", "clone", "-q", "--depth=1", f"--branch={REF}", REPO, CODE]
    subprocess.run(clone, check=True)
  pip = [sys.executable, "-m", "pip", "install", "-q"]
  subprocess.run([*pip, "--no-deps", CODE], check=True)
  # What it needs beside jax, flax, optax and orbax, at versions that fit them.
  installed = {d.name.lower() for d in importlib.metadata.distributions()}
  wanted = "array_record clu einops embreex grain imageio-ffmpeg jaxtyping"
  wanted += " ml-collections rich tensorboard tensorflow-datasets trimesh"
  wanted += " opencv-python-headless scikit-image"
  missing = [name for name in wanted.split() if name not in installed]
  if missing:
    subprocess.run([*pip, *missing], check=True)
sys.path[:0] = [str(CODE), str(CODE / "datasets")]

# %%
import jax

RAN_WITH = (0, 10, 2)
found = tuple(int(n) for n in jax.__version__.split(".")[:3])
if found < RAN_WITH:
  print(
    f"jax {jax.__version__} is older than 0.10.2, the oldest that was tried"
  )
print("Python", sys.version.split()[0], "jax", jax.__version__, jax.devices())

# %% [markdown]
# ## An object, drawn here
# `shapes` objects of the test split were never trained on. Azimuth 0 looks at
# the front; the given picture is taken from the front left.

# %%
import jax.numpy as jnp
import numpy as np
from PIL import Image
from rendering import Renderer
from shapes.objects import build_mesh

from threedim_jax.diffusion.sampler import make_bank, sample_next
from threedim_jax.sampling.load import load_denoiser
from threedim_jax.views import camera_paths
from threedim_jax.views.cameras import Camera
from threedim_jax.views.pixels import from_u8, to_u8

denoise_fn, SIZE = load_denoiser("shapes32")
RADIUS, AZIMUTH, ELEVATION = camera_paths.RADIUS[OBJECT], 40.0, 25.0


def pose_at(azimuth, elevation=ELEVATION):
  places = camera_paths.sphere_points(azimuth, elevation, RADIUS)
  return np.float32(camera_paths.look_at(places))


K = np.float32(camera_paths.default_K(SIZE))
given_u8 = Renderer(build_mesh(OBJECT, 0, "test", 0))(
  pose_at(AZIMUTH), K, SIZE, samples=3
)


def enlarged(image_u8, side=192):
  return Image.fromarray(image_u8).resize(
    (side, side), Image.Resampling.NEAREST
  )


enlarged(given_u8)

# %% [markdown]
# ## Or a picture of your own
# On a plain or transparent background. In Colab it is uploaded: set
# `OWN_PICTURE` to `True`. `AZIMUTH`, `ELEVATION` and `RADIUS` (2.0 for a chair,
# 1.3 for a car) say where it was taken from.

# %% tags=["upload"]
from threedim_jax.inputs.cutout import prepare
from threedim_jax.inputs.photo import decode_photo

OWN_PICTURE = False  # @param {type:"boolean"}
if OWN_PICTURE and IN_COLAB:
  from google.colab import files

  for name, data in files.upload().items():
    given_u8 = prepare(decode_photo(data, name), SIZE)
elif OWN_PICTURE:
  path = input("file: ")
  given_u8 = prepare(decode_photo(pathlib.Path(path).read_bytes(), path), SIZE)
enlarged(given_u8)

# %% [markdown]
# ## Views, one after the other
# One compiled program makes a view, whichever: the bank of known views has a
# fixed size and every step looks at a random one in it. That is what makes the
# views agree.

# %%
import time

from IPython.display import HTML, display

turn = np.arange(1, NUM_VIEWS + 1) / (NUM_VIEWS + 1)
target_poses = pose_at(AZIMUTH + 360 * turn)
target_cams = Camera(
  jnp.asarray(target_poses)[None],
  jnp.asarray(np.repeat(K[None], NUM_VIEWS, 0))[None],
)
given_cams = Camera(
  jnp.asarray(pose_at(AZIMUTH))[None, None], jnp.asarray(K)[None, None]
)


@jax.jit
def next_view(keys, bank, cam, index, num_sample_steps, guidance_weight):
  return sample_next(
    denoise_fn,
    keys,
    bank,
    cam,
    index,
    num_sample_steps=num_sample_steps,
    guidance_weight=guidance_weight,
  )


bank = make_bank(
  from_u8(jnp.asarray(given_u8))[None, None], given_cams, 1 + NUM_VIEWS
)
keys = jax.random.split(jax.random.key(SEED), 1)
shown = display(enlarged(given_u8), display_id=True)
start, views = time.monotonic(), []
for i in range(NUM_VIEWS):
  cam = jax.tree.map(lambda a: a[:, i], target_cams)
  bank = next_view(keys, bank, cam, jnp.int32(i), NUM_STEPS, GUIDANCE)
  views.append(to_u8(np.asarray(bank.views[0, 1 + i])))
  if i == 0:  # the first one was compiled as well
    start = time.monotonic()
  strip = np.concatenate([given_u8, *views], axis=1)
  shown.update(Image.fromarray(strip).resize((96 * (2 + i), 96), 0))
if NUM_VIEWS > 1:
  print(f"{(time.monotonic() - start) / (NUM_VIEWS - 1):.2f} s a view")

# %% [markdown]
# ## Turn it
# The folder holds the views, their cameras, `transforms.json`, a GIF and the
# viewer; drag it.

# %%
import html
import shutil

from threedim_jax.modes.sample import show
from threedim_jax.workdir import samples as sample_io

folder = sample_io.write_sample(
  "samples",
  sample_io.Sampled(
    object_id=OBJECT,
    images_u8=np.stack(views),
    world_from_cam=target_poses,
    K=np.repeat(K[None], NUM_VIEWS, 0),
    view=np.arange(1, NUM_VIEWS + 1, dtype=np.int32),
    input_images_u8=given_u8[None],
    input_world_from_cam=pose_at(AZIMUTH)[None],
    input_K=K[None],
    input_view=np.zeros(1, np.int32),
    info={"seed": SEED, "num_sample_steps": NUM_STEPS},
  ),
)
show(folder)
page = html.escape((folder / "viewer.html").read_text())
display(HTML(f'<iframe srcdoc="{page}" width="100%" height="640"></iframe>'))
archive = shutil.make_archive("views", "zip", folder)
if IN_COLAB:
  from google.colab import files

  files.download(archive)
print(archive)

# %% [markdown]
# ## Train, for two minutes
# The quickstart's configuration, from the weights that ship, on a small data
# set that is drawn first.

# %% tags=["train"]
import json
import os

from matplotlib import pyplot as plt

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
