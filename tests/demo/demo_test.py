# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The demo without a browser: what people upload, stop and download."""

import base64
import io
import os
import re
import socket
import time
import zipfile

from demo_picture import picture
import numpy as np
from PIL import Image
import pytest
from toy_sampling import toy_denoiser, toy_sampler, toy_scene

from threedim_jax.runtime.errors import UserError
from threedim_jax.sampling.scene import Scene

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr  # noqa: E402

from threedim_jax.demo import outputs, page  # noqa: E402
from threedim_jax.demo.handlers import (  # noqa: E402
  Handlers,
  read_settings,
  show_errors,
)

SIZE = 8


@pytest.fixture
def sampler(monkeypatch):
  return toy_sampler(monkeypatch, toy_denoiser, SIZE)


@pytest.fixture
def handlers(sampler):
  return Handlers(sampler)


def read(handlers, file, *values):
  return handlers.read_scene(file, *(values or (40, 20, 2.0, "orbit", 3)))


def test_what_is_uploaded_is_read_or_refused(handlers, tmp_path):
  scene = read(handlers, picture(tmp_path))
  assert scene.given.images_u8.shape == (1, SIZE, SIZE, 3)
  assert len(scene.index) == 3
  (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
  with pytest.raises(UserError, match="^bad.png does not decode") as error:
    read(handlers, str(tmp_path / "bad.png"))
  assert str(tmp_path) not in str(error.value), "no path of the server"
  with pytest.raises(UserError, match="Upload a picture"):
    read(handlers, None)
  bomb = tmp_path / "bomb.png"
  Image.new("1", (20_000, 20_000)).save(bomb)
  assert bomb.stat().st_size < 1e6
  with pytest.raises(UserError, match="^bomb.png"):
    read(handlers, str(bomb))
  # A path from the page never opens a file.
  again = read(handlers, picture(tmp_path), 40, 20, 2.0, "/etc/passwd", 3)
  np.testing.assert_array_equal(again.targets.K, scene.targets.K)


def test_the_preview_shows_the_whole_picture(handlers, tmp_path):
  values = picture(tmp_path, size=(80, 40)), 40, 20, 2.0, "orbit", 3
  pictures, cameras = handlers.preview(*values)
  sources = re.findall(r"base64,([^\"]+)", pictures)
  sizes = [
    Image.open(io.BytesIO(base64.b64decode(data))).size for data in sources
  ]
  assert sizes == [(80, 40), (SIZE, SIZE)]
  assert cameras.count("<title>") == 4


def test_an_error_is_a_sentence_on_the_page():
  @show_errors
  def fails():
    raise UserError("Too large.")

  with pytest.raises(gr.Error, match="Too large."):
    next(fails())


@pytest.mark.parametrize("seed", [None, -1, 2**32, 10**30])
def test_a_seed_that_is_none_is_a_sentence(seed):
  with pytest.raises(UserError, match="seed.*whole number"):
    read_settings(seed, 2, 0.5, "ancestral", "first")
  settings = read_settings(2**32 - 1, 2, 0.5, "ancestral", "first")
  assert settings.single_key().shape == (1,)


def test_a_port_that_is_taken_or_none_is_a_sentence(monkeypatch):
  """It comes before anything is loaded or compiled."""
  monkeypatch.setattr(page, "load_sampler", lambda _: pytest.fail("too late"))
  with socket.create_server(("127.0.0.1", 0)) as taken:
    for port in (taken.getsockname()[1], 99999):
      with pytest.raises(UserError, match=f"{port}.* --port"):
        page.serve("127.0.0.1", port, "none", prevent_thread_lock=True)


SETTINGS = (0, 2, 0.5, "ancestral", "first")


def test_the_status_is_true_at_every_view(handlers, tmp_path):
  scene = picture(tmp_path), 40, 20, 2.0, "orbit", 3
  loop = handlers.generate(*scene, *SETTINGS)
  steps = [(len(s.generated), status, views) for _, views, status, s in loop]
  assert [count for count, *_ in steps] == [0, 1, 2, 3]
  texts = [status for _, status, _ in steps]
  assert "Compiling" in texts[0] and "View 1 of 3 is done" in texts[1]
  assert texts[2].startswith("2 of 3 views are done, about 0")
  assert texts[3].startswith("All 3 views are done")
  assert [views.count("<img") for *_, views in steps] == [1, 2, 3, 4]
  assert [views.count("waiting") for *_, views in steps] == [3, 2, 1, 0]
  # Now it is compiled.
  _, _, status, _ = next(handlers.generate(*scene, *SETTINGS))
  assert status == "Sampling view 1 of 3."


def test_stopped_half_way_there_is_something_to_keep(handlers, tmp_path):
  loop = handlers.generate(
    picture(tmp_path), 40, 20, 2.0, "orbit", 5, *SETTINGS
  )
  sampled = [next(loop) for _ in range(3)][-1][-1]  # empty, then two views
  loop.close()
  assert len(sampled.generated) == 2
  frame, files, table, status = handlers.finish(sampled)
  assert "srcdoc=" in frame and table.count("<tr>") == 2 and "2 views" in status
  names = zipfile.ZipFile(files[0]).namelist()
  assert {"000.png", "001.png", "transforms.json"} <= set(names)
  assert "002.png" not in names
  with pytest.raises(UserError, match="press Generate"):
    handlers.finish(None)


def test_the_comparison_has_the_numbers_of_its_pair(handlers, tmp_path):
  values = picture(tmp_path), 40, 20, 2.0, "orbit", 3, *SETTINGS
  steps = [*handlers.compare(*values)]
  assert len(steps) == 2 * (1 + 3)
  assert "Look for" in steps[0][2] and "| Stochastic |" not in steps[-2][2]
  stochastic, first, text = steps[-1]
  assert stochastic.count("<img") == first.count("<img") == 4
  rows = re.findall(r"\| (Stochastic|First view only) \| (\d+) \| (\d+)", text)
  assert len(rows) == 2


def test_color_numbers_by_hand():
  solid = lambda *colors: np.array(
    [np.full((4, 4, 3), color, np.uint8) for color in colors]
  )
  given, targets = toy_scene(0, 3, 4)
  given = given.with_images(solid((100, 100, 100)))
  scene = Scene(given, targets, np.arange(1, 4, dtype=np.int32))
  colors = (100, 100, 100), (130, 100, 100), (100, 106, 100)
  change, difference = outputs.color_numbers(scene.samples(solid(*colors), {}))
  assert change == 30 and difference == pytest.approx((30 + 6) / 9)


def test_examples_are_there_and_a_car_comes_first(handlers):
  examples = page.read_examples()
  assert len(examples) >= 4 and "car" in examples[0][0]
  for file, azimuth, elevation, distance in examples:
    values = azimuth, elevation, distance, "spiral", 2
    scene = read(handlers, file, *values)
    assert scene.given.images_u8.min() < 200
    position = scene.given.world_from_cam[0, :3, 3]
    assert np.linalg.norm(position) == pytest.approx(distance)


def test_files_of_visitors_are_kept_for_an_hour():
  now = time.time()
  first = outputs.new_folder()
  second = outputs.new_folder()
  for folder, minutes in ((first, 61), (second, 59)):
    (folder / "views.zip").write_bytes(b"views")
    os.utime(folder, (now, now - 60 * minutes))
  assert outputs.new_folder() not in (first, second)
  assert not first.exists() and (second / "views.zip").exists()
