# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The demo without a browser: what people upload, stop and download."""

import os
import socket
import time
import zipfile

from demo_picture import picture
import numpy as np
from PIL import Image
import pytest
from toy_sampling import toy_denoiser, toy_sampler, toy_scene

from threedim_jax.runtime.errors import UserError
from threedim_jax.sampling.load import Settings
from threedim_jax.sampling.scene import Scene

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr  # noqa: E402

from threedim_jax.demo import outputs, page  # noqa: E402

SIZE = 8


@pytest.fixture
def sampler(monkeypatch):
  return toy_sampler(monkeypatch, toy_denoiser, SIZE)


def test_what_is_uploaded_is_read_or_refused(sampler, tmp_path):
  values = (40, 20, 2.0, "orbit", 3)
  scene = page.read(sampler, picture(tmp_path), *values)
  assert scene.given.images_u8.shape == (1, SIZE, SIZE, 3)
  assert page.poses_of(scene).shape == (4, 4, 4)
  (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
  with pytest.raises(UserError, match="does not decode"):
    page.read(sampler, str(tmp_path / "bad.png"), *values)
  with pytest.raises(UserError, match="Upload a picture"):
    page.read(sampler, None, *values)
  bomb = tmp_path / "bomb.png"
  Image.new("1", (20_000, 20_000)).save(bomb)
  assert bomb.stat().st_size < 1e6
  with pytest.raises(UserError, match="20000 x 20000|not a picture"):
    page.read(sampler, str(bomb), *values)
  # A path from the page never opens a file.
  again = page.read(sampler, picture(tmp_path), 40, 20, 2.0, "/etc/passwd", 3)
  np.testing.assert_array_equal(page.poses_of(again), page.poses_of(scene))


def test_an_error_is_a_sentence_on_the_page():
  @page.told
  def fails():
    raise UserError("Too large.")

  with pytest.raises(gr.Error, match="Too large."):
    next(fails())


@pytest.mark.parametrize("seed", [None, -1, 2**32, 10**30])
def test_a_seed_that_is_none_is_a_sentence(seed):
  with pytest.raises(UserError, match="seed.*whole number"):
    page.settings_of(seed, 2, 0.5, "ancestral", "first")
  assert (
    page.settings_of(2**32 - 1, 2, 0.5, "ancestral", "first").single_key().shape
  )


def test_a_port_that_is_taken_or_none_is_a_sentence(sampler, monkeypatch):
  monkeypatch.setattr(page, "load_sampler", lambda name: sampler)
  with socket.create_server(("127.0.0.1", 0)) as taken:
    for port in (taken.getsockname()[1], 99999):
      with pytest.raises(UserError, match=f"{port}.* --port"):
        page.serve("127.0.0.1", port, "none", prevent_thread_lock=True)


def test_stopped_half_way_there_is_something_to_keep(sampler):
  given, targets = toy_scene(0, 5, SIZE)
  scene = Scene(given, targets, np.arange(1, 6, dtype=np.int32))
  loop = page.sampling(sampler, scene, Settings(num_sample_steps=2))
  made = [next(loop) for _ in range(3)][-1]  # the empty one, then two views
  loop.close()
  assert len(made.generated) == 2
  frame, files = outputs.write_files(made)
  assert "srcdoc=" in frame
  names = zipfile.ZipFile(files[0]).namelist()
  assert {"000.png", "001.png", "transforms.json"} <= set(names)
  assert "002.png" not in names


def test_examples_are_there_and_found(sampler):
  examples = page.read_examples()
  assert len(examples) >= 4
  for file, azimuth, elevation, distance in examples:
    scene = page.read(sampler, file, azimuth, elevation, distance, "spiral", 2)
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
