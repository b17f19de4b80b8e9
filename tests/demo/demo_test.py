# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The demo: its engine against the sampler, and what people upload."""

import os
import pathlib
import socket
import time
import zipfile

from demo_picture import picture
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from threedim_jax.diffusion.sampler import make_bank, sample_orbit
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths
from threedim_jax.views.cameras import Camera
from threedim_jax.views.pixels import from_u8, to_u8

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr  # noqa: E402

from threedim_jax.demo import outputs, page  # noqa: E402
from threedim_jax.demo.engine import Engine, Settings, looked_at  # noqa: E402

REPO = pathlib.Path(__file__).parents[2]
SIZE = 8
K = camera_paths.default_K(SIZE)


def denoise(z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask):
  """Feels everything that it is given."""
  height = target_cam.world_from_cam[:, 2, 3] - cond_cam.world_from_cam[:, 2, 3]
  mixed = jnp.where(cond_mask[:, None, None, None], cond_view, 0.3 * cond_view)
  return 0.6 * z_t - 0.4 * mixed + 0.1 * height[:, None, None, None]


@pytest.fixture(scope="module")
def engine():
  return Engine(denoise, SIZE, "none")


def scene(seed: int, num_views: int = 3):
  rng = np.random.default_rng(seed)
  given_u8 = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
  return given_u8, camera_paths.srn_spiral(1 + num_views, 2.0), K


def expected(scene, settings):
  given_u8, poses, K = scene
  cams = Camera(
    jnp.float32(poses)[None],
    jnp.float32(np.broadcast_to(K, (len(poses), 3, 3)))[None],
  )
  at = lambda s: jax.tree.map(lambda a: a[:, s], cams)
  bank = make_bank(
    from_u8(jnp.asarray(given_u8))[None, None], at(slice(0, 1)), len(poses)
  )
  views = sample_orbit(
    denoise,
    settings.key(),
    bank,
    at(slice(1, None)),
    num_sample_steps=settings.num_sample_steps,
    guidance_weight=settings.guidance_weight,
    solver=settings.solver,
    conditioning=settings.conditioning,
  )
  return to_u8(np.asarray(views[0]))


@pytest.mark.parametrize("conditioning", ["stochastic", "first"])
def test_views_are_those_of_the_sampler(engine, conditioning):
  settings = Settings(5, 4, 1.5, "ancestral", conditioning)
  views = list(engine.views(*scene(0), settings))
  wanted = expected(scene(0), settings)
  assert np.abs(np.int32(views) - wanted).max() <= 1
  assert np.ptp(np.int32(views)) > 50, "a picture, not a grey"


def test_two_visitors_do_not_mix(engine):
  settings = Settings(1, 3), Settings(2, 5, 0.0)
  alone = [list(engine.views(*scene(i), settings[i])) for i in (0, 1)]
  loops = [engine.views(*scene(i), settings[i]) for i in (0, 1)]
  for i in range(3):
    for visitor in (0, 1):
      view_u8 = next(loops[visitor])
      np.testing.assert_array_equal(view_u8, alone[visitor][i])


def test_nothing_is_compiled_again(engine):
  list(engine.views(*scene(0), Settings(0, 2)))
  count = engine._next_view._cache_size()
  list(engine.views(*scene(1, 5), Settings(9, 6, 3.0)))
  assert engine._next_view._cache_size() == count


def test_the_inspector_tells_what_the_steps_looked_at(monkeypatch):
  """Views are constants: a picture then says which one was looked at."""
  settings, seen = Settings(3, 6, 0.0), []

  def tell(z_t, logsnr, cond_view, cond_cam, target_cam, cond_mask):
    jax.debug.callback(
      lambda v: seen.append(float(v)), cond_view[0, 0, 0, 0], ordered=True
    )
    return jnp.zeros_like(z_t)

  given_u8, poses, K = scene(0, 2)
  # A zero estimate makes no constant; telling the given view apart does.
  given_u8 = np.full_like(given_u8, 255)
  list(Engine(tell, SIZE, "none").views(given_u8, poses, K, settings))
  jax.effects_barrier()
  looked = looked_at(settings, 2)
  assert looked.shape == (2, 6) and looked.max() <= 1
  assert looked[0].tolist() == [0] * 6, "there is but one"
  told = [v == 1.0 for v in seen]
  assert told == (looked.ravel() == 0).tolist()
  assert 0 < looked[1].sum() < 6


def test_what_is_uploaded_is_read_or_refused(engine, tmp_path):
  values = (40, 20, 2.0, "orbit", 3)
  given_u8, poses, _ = page.read(engine, picture(tmp_path), *values)
  assert given_u8.shape == (SIZE, SIZE, 3) and poses.shape == (4, 4, 4)
  (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
  with pytest.raises(UserError, match="does not decode"):
    page.read(engine, str(tmp_path / "bad.png"), *values)
  with pytest.raises(UserError, match="Upload a picture"):
    page.read(engine, None, *values)
  bomb = tmp_path / "bomb.png"
  Image.new("1", (20_000, 20_000)).save(bomb)
  assert bomb.stat().st_size < 1e6
  with pytest.raises(UserError, match="20000 x 20000|not a picture"):
    page.read(engine, str(bomb), *values)
  # A path from the page never opens a file.
  given = page.read(engine, picture(tmp_path), 40, 20, 2.0, "/etc/passwd", 3)
  np.testing.assert_array_equal(given[1], poses)


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
  assert page.settings_of(2**32 - 1, 2, 0.5, "ancestral", "first").key().shape


def test_a_port_that_is_taken_or_none_is_a_sentence(engine, monkeypatch):
  monkeypatch.setattr(page.Engine, "pretrained", lambda name: engine)
  with socket.create_server(("127.0.0.1", 0)) as taken:
    for port in (taken.getsockname()[1], 99999):
      with pytest.raises(UserError, match=f"{port}.* --port"):
        page.serve("127.0.0.1", port, "none", prevent_thread_lock=True)


def test_stopped_half_way_there_is_something_to_keep(engine):
  loop = page.sampling(engine, scene(0, 5), Settings(0, 2))
  made = [next(loop) for _ in range(3)][-1]  # the empty one, then two views
  loop.close()
  assert len(made.views_u8) == 2
  frame, files = outputs.write_files(made)
  assert "srcdoc=" in frame
  names = zipfile.ZipFile(files[0]).namelist()
  assert {"000.png", "001.png", "transforms.json"} <= set(names)
  assert "002.png" not in names


def test_examples_are_there_and_found(engine):
  examples = page.read_examples()
  assert len(examples) >= 4
  for file, azimuth, elevation, distance in examples:
    given_u8, poses, _ = page.read(
      engine, file, azimuth, elevation, distance, "spiral", 2
    )
    assert given_u8.min() < 200
    assert np.linalg.norm(poses[0, :3, 3]) == pytest.approx(distance)


def test_files_of_visitors_are_kept_for_an_hour():
  now = time.time()
  first = outputs.new_folder()
  second = outputs.new_folder()
  for folder, minutes in ((first, 61), (second, 59)):
    (folder / "views.zip").write_bytes(b"views")
    os.utime(folder, (now, now - 60 * minutes))
  assert outputs.new_folder() not in (first, second)
  assert not first.exists() and (second / "views.zip").exists()
