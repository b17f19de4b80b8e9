# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The Colab notebook: in step with its source; run here and as in Colab."""

import importlib.metadata
import pathlib
import re
import subprocess
import sys
from types import SimpleNamespace

import jupytext
import nbclient
import nbformat
import numpy as np
import pytest

REPO = pathlib.Path(__file__).parents[2]
NOTEBOOK, SOURCE = REPO / "launch/colab.ipynb", REPO / "launch/colab.py"

SMALL = """
EXAMPLE, SEED, NUM_VIEWS, NUM_STEPS, TRAIN_EXAMPLES = "car", 3, 3, 2, 32
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
# The cameras of the views are those of the folder.
CHECK = """
assert samples.generated.images_u8.shape == (3, 64, 64, 3)
assert np.ptp(samples.generated.images_u8) > 50, "a picture, not a grey"
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


def test_only_what_is_missing_is_downloaded(monkeypatch, capsys):
  """Packages are found whether their names have "-" or "_"."""
  (cell,) = [
    c.source
    for c in jupytext.read(SOURCE).cells
    if "setup" in c.metadata.get("tags", ())
  ]
  (packages,) = re.findall(r'PACKAGES = """(.*?)"""', cell, re.DOTALL)
  installed = {name.swapcase() for name in packages.split()} - {"CLU"}
  spellings = [str.maketrans("-", "_"), str.maketrans("_", "-")]
  commands = []
  monkeypatch.chdir(SOURCE.parent)
  monkeypatch.setattr(sys, "path", [*sys.path])
  monkeypatch.setattr(subprocess, "run", lambda c, **_: commands.append(c))
  for spelling in spellings:
    found = [SimpleNamespace(name=n.translate(spelling)) for n in installed]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda f=found: f)
    exec(cell, {})
    assert capsys.readouterr().out == "downloads from PyPI: clu\n"
    assert commands.pop()[-2:] == ["-q", "clu"]


def run(tmp_path, monkeypatch, before: str = "", after: str = "", replace=()):
  """The notebook with small settings, executed; returns its outputs' text."""
  notebook = jupytext.read(SOURCE)
  for cell in notebook.cells:
    for old, new in replace:
      cell.source = cell.source.replace(old, new)
  tagged = lambda c: "parameters" in c.metadata.get("tags", ())
  (at,) = [i for i, c in enumerate(notebook.cells) if tagged(c)]
  small = nbformat.v4.new_code_cell(SMALL + NO_NETWORK + before)
  notebook.cells.insert(at + 1, small)
  notebook.cells.append(nbformat.v4.new_code_cell(CHECK + after))
  monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
  resources = {"metadata": {"path": str(tmp_path)}}
  client = nbclient.NotebookClient(notebook, timeout=600, resources=resources)
  client.execute()
  texts = []
  for cell in notebook.cells:
    for output in cell.get("outputs", ()):
      texts.append(output.get("text", ""))
      texts += [str(v) for v in output.get("data", {}).values()]
  return "\n".join(texts)


@pytest.mark.slow
def test_runs_beside_the_repository(tmp_path, monkeypatch):
  """As from the folder `launch`: the repository is one folder up."""
  (tmp_path / "threedim_jax").symlink_to(REPO / "threedim_jax")
  for name in ("datasets", "configs"):
    (tmp_path / name).symlink_to(REPO / name)
  (tmp_path / "launch").mkdir()
  monkeypatch.delenv("PYTHONPATH", raising=False)
  folder = tmp_path / "launch"
  text = run(folder, monkeypatch)
  assert (folder / "samples" / "car_test_00001" / "viewer.html").exists()
  assert (folder / "views.zip").exists() and "<iframe srcdoc=" in text
  assert (folder / "run" / "metrics.jsonl").exists()


@pytest.mark.slow
def test_runs_in_colab_with_the_package_and_an_own_picture(
  tmp_path, monkeypatch
):
  """Installed, without the repository: all but the training runs."""
  monkeypatch.setenv("PYTHONPATH", str(REPO))
  own = [("OWN_PICTURE = False", "OWN_PICTURE = True")]
  check = "assert downloads == [archive], downloads"
  text = run(tmp_path, monkeypatch, FAKE_COLAB, check, own)
  assert "<iframe srcdoc=" in text
  assert "Training needs the repository" in text
  from threedim_jax.views.png import decode_png

  given = tmp_path / "samples" / "mine" / "input_000.png"
  image = decode_png(given.read_bytes(), given)
  assert np.abs(np.int32(image[16, 16]) - (200, 20, 20)).max() <= 2
