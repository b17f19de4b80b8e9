# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pixel ranges, grids, GIF and MP4, read back by other programs."""

import dataclasses
import re
import subprocess

import einops
from fake_run import fake_sample
import imageio_ffmpeg
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from threedim_jax.viewing import motion
from threedim_jax.viewing.show import PER_ROW, show, show_together, views_grid
from threedim_jax.views import image_grid
from threedim_jax.views.pixels import from_u8, to_u8


@pytest.fixture(scope="module")
def sampled():
  return fake_sample(num_views=9, resolution=16)


# ----------------------------------------------------------------- pixels


@pytest.mark.parametrize("xp", [np, jnp])
def test_all_256_values_survive_the_round_trip(xp):
  values = xp.arange(256, dtype=xp.uint8)
  x = from_u8(values)
  assert x.dtype == np.float32
  assert (float(x[0]), float(x[255])) == (-1.0, 1.0)
  assert isinstance(to_u8(x), type(values)) and to_u8(x).dtype == np.uint8
  np.testing.assert_array_equal(to_u8(x), values)
  if xp is jnp:  # it can be traced
    both = jax.jit(lambda v: to_u8(from_u8(v)))
    np.testing.assert_array_equal(both(values), values)


def test_to_u8_rounds_to_the_nearest_and_clips():
  step = 2 / 255
  x = -1 + step * np.array([-9, 0.49, 0.51, 1, 254.49, 254.51, 300])
  np.testing.assert_array_equal(to_u8(x), [0, 0, 1, 1, 254, 255, 255])


# ------------------------------------------------------------------ grids


def solid(*colours: tuple[int, int, int]) -> np.ndarray:
  return np.array([np.full((4, 5, 3), c, np.uint8) for c in colours])


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def box_of(grid: np.ndarray, colour) -> tuple[int, int, int, int]:
  """(top, left, height, width) of the one rectangle in this colour."""
  where = np.argwhere((grid == colour).all(axis=-1))
  (top, left), (bottom, right) = where.min(axis=0), where.max(axis=0)
  height, width = bottom - top + 1, right - left + 1
  assert len(where) == height * width, "not one full rectangle"
  return top, left, height, width


@pytest.mark.parametrize(("min_side", "factor"), [(1, 1), (4, 1), (5, 2)])
def test_upscale_repeats_pixels_by_a_whole_factor(min_side, factor):
  images_u8 = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
  large = image_grid.upscale(images_u8, min_side)
  assert large.shape == (2, 4 * factor, 6 * factor, 3)
  for i in range(factor):
    for j in range(factor):
      np.testing.assert_array_equal(large[:, i::factor, j::factor], images_u8)


@pytest.mark.parametrize("labels", [(), ("one", "two")])
def test_grid_puts_cells_in_rows_and_columns(labels):
  a, b, c = solid(RED, GREEN, BLUE)
  grid = image_grid.image_grid(
    [[a, b], [None, c]], row_labels=labels, col_labels=labels, min_side=8
  )
  boxes = [box_of(grid, colour) for colour in (RED, GREEN, BLUE)]
  assert all(box[2:] == (8, 10) for box in boxes)  # 4x5, twice as large
  (top_a, left_a), (top_b, left_b), (top_c, left_c) = (b[:2] for b in boxes)
  assert top_a == top_b and top_c >= top_a + 8
  assert left_b == left_c and left_b >= left_a + 10
  has_ink = (grid[:, :left_a] < 150).all(axis=-1).any()
  assert has_ink == bool(labels)


def test_denoise_grid_is_one_row_an_example():
  columns = np.array([solid(RED, GREEN, BLUE, (9, 9, 9))] * 3)
  columns[1:] = 128
  grid = image_grid.denoise_grid(columns, min_side=8)
  lefts = [box_of(grid, c)[1] for c in (RED, GREEN, BLUE, (9, 9, 9))]
  assert lefts == sorted(lefts)
  assert len({box_of(grid, c)[0] for c in (RED, GREEN, BLUE)}) == 1


def test_views_grid_has_each_truth_below_its_view():
  colours = [(i, 0, 0) for i in range(30, 40)]
  truth = [(0, i, 0) for i in range(30, 40)]
  sampled = fake_sample(num_views=11)
  sampled = dataclasses.replace(
    sampled,
    given=sampled.given.with_images(solid(BLUE)),
    generated=sampled.generated.with_images(solid(*colours)),
    truth=sampled.truth.with_images(solid(*truth)),
  )
  grid = views_grid(sampled, per_row=4, min_side=4)
  input_top = box_of(grid, BLUE)[0]
  for i in range(10):
    top, left, *_ = box_of(grid, colours[i])
    truth_top, truth_left, *_ = box_of(grid, truth[i])
    assert input_top < top < truth_top and left == truth_left
  tops = [box_of(grid, c)[0] for c in colours]
  assert len(set(tops)) == 3 and tops == sorted(tops)  # 4 + 4 + 2


# ----------------------------------------------------------------- motion


def psnr(a: np.ndarray, b: np.ndarray) -> float:
  return 10 * np.log10(255**2 / (np.mean((a.astype(float) - b) ** 2) + 1e-9))


def test_gif_shows_the_frames_for_ever(tmp_path):
  frames_u8 = fake_sample(num_views=6, resolution=48).generated.images_u8
  noise = np.random.default_rng(0).integers(-30, 30, frames_u8.shape)
  noise[(frames_u8 == 255).all(axis=-1)] = 0
  frames_u8 = (frames_u8 + noise).clip(0, 255).astype(np.uint8)
  pixels = einops.rearrange(frames_u8, "n h w c -> (n h w) c")
  assert len(np.unique(pixels, axis=0)) > 1000  # a palette has 256
  path = tmp_path / "orbit.gif"
  motion.write_gif(path, frames_u8, fps=10, min_side=100)
  with Image.open(path) as gif:
    assert gif.n_frames == len(frames_u8)
    assert gif.info["loop"] == 0 and gif.info["duration"] == 100
    assert gif.size == (144, 144)
    for i, image_u8 in enumerate(frames_u8):
      gif.seek(i)
      frame = np.array(gif.convert("RGB"))
      large = np.kron(image_u8, np.ones((3, 3, 1), np.uint8))
      assert psnr(frame, large) > 33
      is_white = (large == 255).all(axis=-1)
      assert is_white.any() and (frame[is_white] == 255).all()


def play(path) -> tuple[np.ndarray, str]:
  """Frames [N, H, W, 3] and what ffmpeg says about the stream."""
  program = imageio_ffmpeg.get_ffmpeg_exe()
  played = subprocess.run(
    [program, "-i", str(path), *"-f rawvideo -pix_fmt rgb24 -".split()],
    capture_output=True,
    check=True,
  )
  stream = re.search("Video: .*", played.stderr.decode()).group()
  w, h = map(int, re.search(r", (\d+)x(\d+)", stream).groups())
  pixels = np.frombuffer(played.stdout, np.uint8)
  return einops.rearrange(pixels, "(n h w c) -> n h w c", h=h, w=w, c=3), stream


@pytest.mark.parametrize("hw", [(16, 16), (15, 17), (257, 259)])
def test_mp4_plays_everywhere_and_looks_the_same(tmp_path, sampled, hw):
  frames_u8 = image_grid.upscale(sampled.generated.images_u8, max(hw))[
    :, : hw[0], : hw[1]
  ]
  path = tmp_path / "orbit.mp4"
  motion.write_mp4(path, frames_u8, fps=8)
  data = path.read_bytes()
  assert data.index(b"moov") < data.index(b"mdat")  # plays while it loads
  motion.write_mp4(tmp_path / "again.mp4", frames_u8, fps=8)
  assert (tmp_path / "again.mp4").read_bytes() == data

  shown, stream = play(path)
  assert "h264" in stream and "yuv420p(tv, bt709" in stream
  assert " 8 fps" in stream
  height, width = shown.shape[1:3]
  assert width % 2 == height % 2 == 0 and min(width, height) >= 256
  assert len(shown) == len(frames_u8)
  for frame, expected in zip(
    shown, image_grid.upscale(frames_u8, 256), strict=True
  ):
    h, w = expected.shape[:2]
    assert height - h in (0, 1) and width - w in (0, 1)
    assert psnr(frame[:h, :w], expected) > 26


def test_mp4_keeps_colours(tmp_path):
  colours = [RED, GREEN, BLUE, (255, 255, 255), (40, 196, 216)]
  path = tmp_path / "colours.mp4"
  motion.write_mp4(path, image_grid.upscale(solid(*colours), 64))
  for frame, colour in zip(play(path)[0], colours, strict=True):
    np.testing.assert_allclose(frame.mean(axis=(0, 1)), colour, atol=4)


def test_sample_pictures(tmp_path, sampled):
  (tmp_path / "one").mkdir()
  show(tmp_path / "one", sampled)
  show_together(tmp_path, [sampled, fake_sample(num_views=4, resolution=16)])
  names = {"views.png", "orbit.gif", "orbit.mp4"}
  of_one = {"viewer.html", "transforms.json"}
  for folder, expected in (
    (tmp_path / "one", names | of_one),
    (tmp_path, {n.replace("orbit", "orbits") for n in names}),
  ):
    files = {p.name: p for p in folder.iterdir() if p.is_file()}
    assert set(files) == expected
    assert all(p.stat().st_size > 500 for p in files.values())


def test_objects_are_shown_in_rows(tmp_path):
  count = PER_ROW + 1
  samples = [
    fake_sample(num_views=4, resolution=16, seed=i) for i in range(count)
  ]
  show_together(tmp_path, samples)
  with Image.open(tmp_path / "orbits.gif") as gif:
    shown = np.array(gif.convert("RGB"))
  factor = shown.shape[0] // (2 * 16)
  shown = shown[::factor, ::factor]
  assert shown.shape == (2 * 16, PER_ROW * 2 * 16, 3)
  for i, sample in enumerate(samples):
    row, column = 16 * (i // PER_ROW), 32 * (i % PER_ROW)
    pair = shown[row : row + 16, column : column + 32]
    assert psnr(pair[:, :16], sample.given.images_u8[0]) > 20
    assert psnr(pair[:, 16:], sample.generated.images_u8[0]) > 20
  assert (shown[16:, 32:] == 255).all()
