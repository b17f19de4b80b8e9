# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A demo that gets broken uploads while it serves two other visitors.

All goes through the page's own HTTP interface: three visitors with a session
each, as three browsers would have. The server is a process of its own, so that
its memory and what it prints can be looked at.
"""

import base64
from concurrent import futures
import io
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile

import gradio_client
import mesh_fuzz
from mutations import mutate
import numpy as np
import picture_fuzz
from PIL import Image
from programs import free_port
import pytest
import run_fuzz

REPO = pathlib.Path(__file__).parents[2]
CAMERA = 40, 20, 2.0, "orbit"
SETTINGS = 0, 2, 0.5, "ancestral", "first"
COLORS = {"anna": (200, 30, 20), "ben": (20, 40, 210)}
NUM_UPLOADS, WARM_UP = 50, 10
MAX_GROWTH_MB = 100  # of resident memory, over the uploads after the warm-up
MAX_VIEWS = 8


@pytest.fixture(scope="module")
def server(tmp_path_factory):
  """(address, process, file with what it prints)."""
  port, log = free_port(), tmp_path_factory.mktemp("demo") / "log.txt"
  env = {**os.environ, "PYTHONPATH": str(REPO), "JAX_PLATFORMS": "cpu"}
  with open(log, "w") as file:
    process = subprocess.Popen(
      [sys.executable, REPO / "tests/support/demo_server.py", str(port)],
      env=env | {"GRADIO_ANALYTICS_ENABLED": "False"},
      stdout=file,
      stderr=subprocess.STDOUT,
    )
  address, deadline = f"http://127.0.0.1:{port}/", time.monotonic() + 300
  while True:
    try:
      urllib.request.urlopen(f"{address}config").close()
      break
    except OSError:
      assert process.poll() is None, log.read_text()
      assert time.monotonic() < deadline
      time.sleep(0.5)
  yield address, process, log
  process.terminate()
  process.wait()


def hostile_files(folder: pathlib.Path) -> list[pathlib.Path]:
  """Damaged and whole files of every reader, and files made by hand."""
  rng = np.random.default_rng(0)
  whole, files = {}, {}
  readers = {name: f() for name, f in picture_fuzz.READERS.items()}
  readers |= {name: f() for name, f in mesh_fuzz.READERS.items()}
  readers |= {name: f() for name, (_, f, _) in run_fuzz.READERS.items()}
  for reader, found in readers.items():
    for path, data in found.items():
      name = f"{reader}_{pathlib.Path(path).name}".replace(" ", "_")
      files[f"damaged_{name}"] = mutate(data, rng)
  for reader in ("png", "jpeg", "webp", "tiff"):
    ((path, data),) = readers[reader].items()
    whole[f"whole_{path}"] = data
    files[f"again_{path}"] = mutate(data, rng)
  bomb = io.BytesIO()
  Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
  noise = rng.integers(0, 256, (64, 64, 3), np.uint8)
  not_plain = io.BytesIO()
  Image.fromarray(noise).save(not_plain, "PNG")
  for path in (REPO / "tests/data/photos").iterdir():
    whole[path.name] = path.read_bytes()
    files[f"damaged_{path.name}"] = mutate(path.read_bytes(), rng)
  files |= {
    "bomb.png": bomb.getvalue(),
    "large.png": bytes(21_000_000),
    "noise.png": not_plain.getvalue(),
    "empty.png": b"",
    "no suffix": b"\x89PNG\r\n\x1a\n",
    "a'b\"&<b>.png": b"x",
    "ünïcode 椅子.jpg": b"\xff\xd8\xff\xe0",
    "l" * 200 + ".png": b"x",
    "page.html": b"<script>alert(1)</script>",
    "drawing.svg": b"<svg onload='alert(1)'/>",
    "paper.pdf": b"%PDF-1.4",
    "-rf.gif": b"GIF89a",
  }
  broken = rng.permutation(list(files))[: NUM_UPLOADS - len(whole)]
  files |= whole
  paths = [folder / name for name in rng.permutation([*broken, *whole])]
  for path in paths:
    path.write_bytes(files[path.name])
  return paths


def resident_mb(process) -> float:
  status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
  return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) * 1024 / 1e6


def assert_clean(text: str) -> None:
  """No trace and no path of the server is in what a visitor reads."""
  assert "Traceback" not in text and "site-packages" not in text, text
  # An exception that no handler expected.
  assert "has raised an exception" not in text, text
  for path in ("/tmp", "gradio/", str(REPO), "threedim_jax_demo_"):
    assert path not in text, text


class Visitor:
  """A browser without a window."""

  def __init__(self, address: str, name: str, folder: pathlib.Path):
    self.client = gradio_client.Client(
      address, verbose=False, download_files=folder / name
    )

  def upload(self, path) -> None:
    self.client.predict(gradio_client.handle_file(path), api_name="/lambda")

  def preview(self) -> str | None:
    """What is shown, or None after a sentence."""
    try:
      return "".join(self.client.predict(*CAMERA, 2, api_name="/preview"))
    except gradio_client.exceptions.AppError as e:
      assert_clean(str(e))
      assert str(e).strip() and "\n" not in str(e)
      return None

  def generate(self, num_views: int):
    return self.client.submit(
      *CAMERA, num_views, *SETTINGS, api_name="/generate"
    )


def pictures_of(html: str) -> list[np.ndarray]:
  found = re.findall(r"data:image/png;base64,([^\"]+)", html)
  return [
    np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    for data in found
  ]


def assert_of_color(image_u8: np.ndarray, color) -> None:
  inside = image_u8[(image_u8 < 230).any(-1)]
  assert len(inside) > 50
  assert np.abs(np.median(inside, 0) - color).max() < 12


def box(folder: pathlib.Path, name: str) -> pathlib.Path:
  image = Image.new("RGB", (60, 60), "white")
  image.paste(COLORS[name], (10, 10, 40, 50))
  image.save(folder / f"{name}.png")
  return folder / f"{name}.png"


def a_round(visitors: dict[str, Visitor], pictures) -> None:
  """Both sample their own picture at once; Anna stops after a few views."""
  for name, visitor in visitors.items():
    visitor.upload(pictures[name])
  jobs = {
    name: visitor.generate(MAX_VIEWS) for name, visitor in visitors.items()
  }
  while len(jobs["anna"].outputs()) < 3:
    assert not jobs["anna"].done()
    time.sleep(0.05)
  visitors["anna"].client.predict(api_name="/stop")
  num_views = {}
  for name, job in jobs.items():
    job.result(timeout=240)
    cameras, views, status = job.outputs()[-1]
    for text in (cameras, views, status):
      assert_clean(text)
    shown = pictures_of(views)
    num_views[name] = len(shown) - 1  # less the given one
    for image_u8 in shown:
      assert_of_color(image_u8, COLORS[name])
  assert 2 <= num_views["anna"] < MAX_VIEWS
  assert num_views["ben"] == MAX_VIEWS
  for name, visitor in visitors.items():
    viewer, files, table, status = visitor.client.predict(api_name="/finish")
    for text in (viewer, table, status):
      assert_clean(text)
    assert status.startswith(f"{num_views[name]} views are done")
    with zipfile.ZipFile(files["value"][0]) as archive:
      kept = [n for n in archive.namelist() if re.fullmatch(r"\d+\.png", n)]
      assert len(kept) == num_views[name]
      for member in kept:
        image = Image.open(io.BytesIO(archive.read(member))).convert("RGB")
        assert_of_color(np.asarray(image), COLORS[name])


@pytest.mark.slow
def test_broken_uploads_beside_two_visitors(server, tmp_path):
  address, process, log = server
  (tmp_path / "files").mkdir()
  uploads = hostile_files(tmp_path / "files")
  assert len(uploads) == NUM_UPLOADS
  pictures = {name: box(tmp_path, name) for name in COLORS}
  visitors = {name: Visitor(address, name, tmp_path) for name in COLORS}
  stranger = Visitor(address, "stranger", tmp_path)
  a_round(visitors, pictures)  # what is loaded once is no growth
  shown, memory, is_done = [], [], threading.Event()

  def upload_all():
    try:
      for path in uploads:
        stranger.upload(path)
        shown.append(stranger.preview())
        if shown[-1] is not None:
          *_, status = stranger.generate(1).result(timeout=240)
          assert status.startswith("All 1 views are done")
        memory.append(resident_mb(process))
    finally:
      is_done.set()

  rounds = 0
  with futures.ThreadPoolExecutor(1) as pool:
    uploading = pool.submit(upload_all)
    while not is_done.is_set():
      a_round(visitors, pictures)
      rounds += 1
    uploading.result()
  assert len(shown) == NUM_UPLOADS and rounds >= 2
  num_read = sum(html is not None for html in shown)
  print(f"{num_read} of {len(shown)} uploads are read, {rounds} rounds, MB:")
  print(*(round(m) for m in memory))
  assert 6 <= num_read < NUM_UPLOADS // 2
  for html in shown:
    if html is not None:
      assert_clean(html)
      assert len(pictures_of(html)) == 2
  assert memory[-1] - memory[WARM_UP - 1] < MAX_GROWTH_MB
  printed = log.read_text()
  assert "Traceback" not in printed, printed
