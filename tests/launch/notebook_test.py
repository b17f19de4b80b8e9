# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The Colab notebook: in step with its source; run here and as in Colab."""

import os
import pathlib

import jax
import jupytext
import nbclient
import nbformat
import numpy as np
import pytest

REPO = pathlib.Path(__file__).parents[2]
NOTEBOOK, SOURCE = REPO / "launch/colab.ipynb", REPO / "launch/colab.py"

SMALL = """
REPO = {repo!r}
REF, SEED, OBJECT = "main", 3, "car"
NUM_VIEWS, NUM_STEPS, GUIDANCE, TRAIN_EXAMPLES = 3, 2, 0.5, 32
"""
# Nothing but this machine is to be asked; the kernel talks over loopback.
NO_NETWORK = """
import socket
_connect = socket.socket.connect
def connect(self, address):
  if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
    raise AssertionError(f"asks the network: {address}")
  return _connect(self, address)
socket.socket.connect = connect
"""
FAKE_COLAB = """
import io, sys, types
from PIL import Image
colab, files = types.ModuleType("google.colab"), types.ModuleType("files")
def upload():
  image = Image.new("RGB", (60, 40), "white")
  image.paste((200, 20, 20), (20, 10, 40, 30))
  data = io.BytesIO()
  image.save(data, "PNG")
  return {"mine.png": data.getvalue()}
downloads = []
files.upload, files.download, colab.files = upload, downloads.append, files
colab.output = types.ModuleType("output")  # jax looks for it
sys.modules["google.colab"] = colab
sys.modules["google.colab.files"] = files
import google
google.colab = colab
"""
# As a script would have it: all views at once, in one program.
AS_ORBIT = """
from threedim_jax.sampler import sample_orbit
_bank = make_bank(
  from_u8(jnp.asarray(given_u8))[None, None], given_cams, 1 + NUM_VIEWS
)
_views = jax.jit(lambda *args: sample_orbit(
  denoise_fn, *args, num_sample_steps=NUM_STEPS, guidance_weight=GUIDANCE
))(keys, _bank, target_cams)
_same = np.abs(np.int32(to_u8(np.asarray(_views[0]))) - np.stack(views)).max()
print("MAX DIFFERENCE", _same)
"""


def without_ids(notebook):
  """Sources, kinds and tags of the cells; ids are drawn at random."""
  return [(c.cell_type, c.source, dict(c.metadata)) for c in notebook.cells]


def test_in_step_with_its_source():
  """`jupytext --to ipynb launch/colab.py` makes it again."""
  written = nbformat.read(NOTEBOOK, as_version=4)
  assert without_ids(written) == without_ids(jupytext.read(SOURCE))
  nbformat.validate(written)
  for cell in written.cells:
    assert not cell.get("outputs") and not cell.get("execution_count")


def run(tmp_path, monkeypatch, before: str, replace=()):
  """The notebook with small settings, executed; returns its outputs' text."""
  notebook = jupytext.read(SOURCE)
  for cell in notebook.cells:
    for old, new in replace:
      cell.source = cell.source.replace(old, new)
  tagged = lambda c: "parameters" in c.metadata.get("tags", ())
  (at,) = [i for i, c in enumerate(notebook.cells) if tagged(c)]
  small = SMALL.format(repo=str(REPO)) + NO_NETWORK + before
  notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(small))
  notebook.cells.append(nbformat.v4.new_code_cell(AS_ORBIT))
  monkeypatch.setenv("PYTHONPATH", str(REPO))
  monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
  monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
  assert os.environ.get("XLA_FLAGS") is None or jax.device_count()
  resources = {"metadata": {"path": str(tmp_path)}}
  client = nbclient.NotebookClient(notebook, timeout=600, resources=resources)
  client.execute()
  texts = []
  for cell in notebook.cells:
    for output in cell.get("outputs", ()):
      texts.append(output.get("text", ""))
      texts += [str(v) for v in output.get("data", {}).values()]
  return "\n".join(texts), tmp_path


def check_results(text, folder, name):
  assert float(text.split("MAX DIFFERENCE")[1].split()[0]) <= 1
  assert (folder / "samples" / name / "viewer.html").exists()
  assert (folder / "views.zip").exists()
  assert "<iframe srcdoc=" in text
  assert (folder / "run" / "metrics.jsonl").exists()


@pytest.mark.slow
def test_runs_here(tmp_path, monkeypatch):
  text, folder = run(tmp_path, monkeypatch, "")
  check_results(text, folder, "car")


@pytest.mark.slow
def test_runs_in_colab_with_an_own_picture(tmp_path, monkeypatch):
  own = [("OWN_PICTURE = False", "OWN_PICTURE = True")]
  check = "\nassert downloads == [archive], downloads"
  monkeypatch.setattr(__import__(__name__), "AS_ORBIT", AS_ORBIT + check)
  text, folder = run(tmp_path, monkeypatch, FAKE_COLAB, own)
  check_results(text, folder, "car")
  from threedim_jax.views.png import decode_png

  given = folder / "samples" / "car" / "input_000.png"
  image = decode_png(given.read_bytes(), given)
  assert np.abs(np.int32(image[16, 16]) - (200, 20, 20)).max() <= 2
