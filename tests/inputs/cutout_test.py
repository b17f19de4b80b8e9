# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The object in a photo: cut out, centred, sized and laid over white."""

import io
import pathlib

from cutout_accuracy import iou
import numpy as np
from photo_composites import Scene, composite
from PIL import Image, ImageDraw
import pytest

from threedim_jax.inputs import cutout
from threedim_jax.runtime.errors import UserError

PHOTOS = pathlib.Path(__file__).parents[1] / "data/photos"
RED, GREY = (200, 30, 20), (120, 125, 130)


def picture(background=GREY, hw=(300, 500), box=(60, 140, 300, 380)):
  """A red box (top, bottom, left, right) off the middle, as an array."""
  image = np.full((*hw, 3), background, np.uint8)
  top, bottom, left, right = box
  image[top:bottom, left:right] = RED
  return image


def bounds(image_u8):
  ys, xs = np.nonzero(image_u8.min(-1) < 128)
  return ys.min(), ys.max() + 1, xs.min(), xs.max() + 1


@pytest.mark.parametrize("background", [GREY, (255, 255, 255), (5, 5, 5)])
def test_an_object_on_a_plain_background(background):
  image = Image.fromarray(picture(background))
  out = cutout.prepare(image, 64, fill=0.5)
  assert out.shape == (64, 64, 3) and out.dtype == np.uint8
  assert bounds(out) == (16, 48, 16, 48), "80 pixels are half of the side"
  assert np.abs(out[32, 32] - np.int32(RED)).max() <= 1
  assert (out[:14] == 255).all() and (out[:, :14] == 255).all()


def test_alpha_goes_before_colour():
  rgba = np.dstack([picture(RED), np.zeros((300, 500), np.uint8)])
  rgba[60:140, 300:380, 3] = 255
  out = cutout.prepare(Image.fromarray(rgba), 64, fill=0.5)
  assert bounds(out) == (16, 48, 16, 48)
  half = rgba.copy()
  half[60:140, 340:380, 3] = 140  # still object, but seen through
  out = cutout.prepare(Image.fromarray(half), 64, fill=0.5)
  expected = np.array(RED) * 140 / 255 + 115
  assert np.abs(out[32, 44] - expected).max() <= 2


def test_dirt_does_not_move_the_object():
  image = picture()
  image[10:14, 10:14] = 0
  out = cutout.prepare(Image.fromarray(image), 64, fill=0.5)
  assert bounds(out) == (16, 48, 16, 48)


def test_an_object_at_the_border_gets_white_around_it():
  out = cutout.prepare(
    Image.fromarray(picture(box=(0, 80, 0, 80))), 64, fill=0.5
  )
  assert bounds(out) == (16, 48, 16, 48)
  assert (out[:14] == 255).all(), "the picture ends there"


def test_as_large_as_in_training_unless_told():
  out = cutout.prepare(Image.fromarray(picture()), 100)
  top, bottom, _, _ = bounds(out)
  assert bottom - top == pytest.approx(100 * cutout.FILL, abs=1)


@pytest.mark.parametrize("kind", ["noise", "empty", "transparent"])
def test_no_object_is_one_sentence(kind):
  noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  images = {
    "noise": Image.fromarray(noise),
    "empty": Image.new("RGB", (64, 64), GREY),
    "transparent": Image.new("RGBA", (64, 64), (0, 0, 0, 0)),
  }
  with pytest.raises(UserError, match="transparent background"):
    cutout.prepare(images[kind], 32)


# ------------------------------------------------------------------- alpha


def with_alpha(change):
  """The red box on grey as RGBA, its alpha changed by a drawing function."""
  rgba = Image.fromarray(picture()).convert("RGBA")
  alpha = Image.new("L", rgba.size, 255)
  change(ImageDraw.Draw(alpha))
  rgba.putalpha(alpha)
  return rgba


@pytest.mark.parametrize(
  "change",
  [
    lambda draw: draw.point((3, 3), fill=0),
    lambda draw: draw.point([(7 * i, 5 * i) for i in range(60)], fill=0),
    lambda draw: draw.rectangle((0, 0, 499, 3), fill=0),
    lambda draw: draw.ellipse((20, 200, 120, 280), fill=0),
    lambda draw: (
      draw.rectangle((0, 0, 499, 299), fill=0),
      draw.rounded_rectangle((0, 0, 499, 299), 15, fill=255),
    ),
    lambda draw: draw.rectangle((0, 0, 499, 299), fill=200),
  ],
)
def test_alpha_that_separates_nothing_does_not_count(change):
  out = cutout.prepare(with_alpha(change), 64, fill=0.5)
  assert bounds(out) == (16, 48, 16, 48)
  assert (out[:14] == 255).all() and (out[:, :14] == 255).all()


def test_a_cut_out_that_fills_its_picture_keeps_its_alpha():
  rgba = np.full((90, 60, 4), 255, np.uint8)
  rgba[..., :3] = GREY
  rgba[30:50, 20:40, :3] = RED
  y, x = np.indices((90, 60))
  rgba[..., 3] = 255 * (((y - 45) / 45) ** 2 + ((x - 30) / 30) ** 2 < 1)
  out = cutout.prepare(Image.fromarray(rgba), 90, fill=1.0)
  grey = np.abs(out[10, 45] - np.int32(GREY)).max()
  assert grey <= 1, "the grey belongs to the cut-out object"


# ------------------------------------------------------- plain backgrounds


def ellipse(wall=GREY):
  """A red ellipse on a wall of 300 x 300 pixels, and its mask."""
  y, x = np.indices((300, 300)) - 149.5
  mask = (x / 75) ** 2 + (y / 50) ** 2 < 1
  return np.uint8(np.where(mask[..., None], RED, wall)), mask


@pytest.mark.parametrize("quality", [None, 85])
@pytest.mark.parametrize(
  "frames",  # (width in pixels, level) of every frame, from the inside
  [[(3, 0)], [(5, 0)], [(22, 255)], [(37, 255)], [(15, 255), (4, 0)]],
)
def test_a_photo_in_a_frame_is_not_the_object(frames, quality):
  noise = np.random.default_rng(0).normal(0, 2, (300, 300, 3))
  image, mask = ellipse(np.uint8(GREY + noise))
  for width, level in frames:
    margins = ((width, width), (width, width))
    image = np.pad(image, (*margins, (0, 0)), constant_values=level)
    mask = np.pad(mask, margins)
  if quality:
    data = io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", quality=quality)
    image = np.asarray(Image.open(data))
  kept = cutout.cut_out(Image.fromarray(image))[1][..., 0] >= 0.5
  assert (kept & mask).sum() / (kept | mask).sum() > 0.94


def box_with(drawing, side, noise=3.0):
  """A red box of `side` pixels in a grey picture of 300, and its mask."""
  image = np.full((300, 300, 3), GREY, float)
  low, high = (300 - side) // 2, (300 + side) // 2
  image[low:high, low:high] = RED
  if drawing == "dot":
    image[140:160, 120:170] = (240, 230, 40)
  elif drawing == "speck":
    image[145:153, 145:153] = (240, 230, 40)
  elif drawing == "halves":
    image[low:150, low:high] = (40, 60, 200)
  image += np.random.default_rng(0).normal(0, noise, image.shape)
  mask = np.zeros((300, 300), bool)
  mask[low:high, low:high] = True
  return Image.fromarray(np.uint8(image.clip(0, 255))), mask


@pytest.mark.parametrize(
  "drawing, side",
  [
    *((drawing, 80) for drawing in (None, "dot", "halves")),
    *((drawing, 220) for drawing in (None, "dot", "halves")),
    *((drawing, 280) for drawing in (None, "speck")),
  ],
)
def test_a_box_seen_from_the_front_is_no_frame(drawing, side):
  """Only a box that nearly fills its picture can be mistaken for a photo."""
  image, mask = box_with(drawing, side)
  kept = cutout.cut_out(image)[1][..., 0] >= 0.5
  assert (kept & mask).sum() / (kept | mask).sum() > 0.98


def test_a_framed_photo_needs_a_plain_background():
  with pytest.raises(UserError, match="a photo in a frame.*not plain: save"):
    cutout.cut_out(box_with("halves", 280)[0])


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize("square, times", [(12, 1), (16, 1), (12, 3)])
@pytest.mark.parametrize("grey", [204, 192])
def test_drawn_chequers_are_not_transparent(format, square, times, grey):
  y, x = np.indices((300, 300)) // square
  levels = np.where((y + x) % 2, grey, 255)[..., None]
  image = np.kron(ellipse(levels)[0], np.ones((times, times, 1), np.uint8))
  data = io.BytesIO()
  Image.fromarray(image).save(data, format)
  with pytest.raises(UserError, match="chequers, these are part of the pict"):
    cutout.cut_out(Image.open(data))


OBJECTS = [("chair", 0), ("chair", 4), ("car", 1)]


@pytest.mark.slow
@pytest.mark.parametrize("wall", [(225, 225, 225), (215, 200, 175)])
@pytest.mark.parametrize(
  "light",
  [
    {},
    {"noise": 4.0},
    {"falloff": 0.2, "noise": 1.0},
    {"shadow": 0.4, "noise": 1.0},
    {"shadow": 0.25, "blur": 0.02, "falloff": 0.15, "noise": 1.0},
    {"shadow": 0.6, "blur": 0.06, "noise": 1.0},
  ],
  ids=str,
)
def test_shadows_and_openings_go_and_the_object_stays(wall, light):
  """Dark tyres, windows and seats of the object included."""
  for kind, index in OBJECTS:
    assert iou(kind, index, Scene(wall=wall, **light)) > 0.93, (kind, index)


def test_a_dark_shadow_of_a_colourful_wall():
  """There the hue tells a shadow from the object, however hard its edge."""
  scene = Scene(wall=(120, 150, 190), shadow=0.6, blur=0.01, noise=1.0)
  for kind, index in OBJECTS:
    assert iou(kind, index, scene) > 0.93, (kind, index)


HARD = Scene(shadow=0.6, blur=0.01, noise=1.0)


@pytest.mark.parametrize("kind, index", [("chair", 5), ("car", 2)])
def test_a_hard_shadow_of_a_coloured_object_on_a_grey_wall(kind, index):
  """Its one level and the object's other hues tell it from the object."""
  assert iou(kind, index, HARD) > 0.9


def test_the_grey_legs_of_a_chair_stay_in_a_hard_shadow():
  """They have levels of their own, so that the shadow stays, too."""
  image_u8, mask = composite("chair", 1, HARD)
  kept = cutout.cut_out(Image.fromarray(image_u8))[1][..., 0] >= 0.5
  assert kept[mask].mean() > 0.99


@pytest.mark.parametrize("wall", ["blue_wall", "white_wall"])
def test_openings_of_a_chair_show_white(wall):
  with Image.open(PHOTOS / f"{wall}.png") as image:
    out = cutout.prepare(image, 128)
  rows, columns = np.nonzero(out.min(-1) < 128)
  middle = (columns.min() + columns.max()) // 2
  opening = out[rows.min() + 15 : rows.min() + 35, middle - 5 : middle + 5]
  assert (opening == 255).all()


@pytest.mark.parametrize("wall", [(70, 130, 200), (205, 200, 190)])
def test_openings_in_uneven_light_with_noise(wall):
  ring = np.zeros((300, 300), bool)
  ring[50:250, 50:250] = True
  ring[90:210, 90:210] = False
  shade = np.linspace(1, 0.8, 300)[None, :, None]
  image = np.where(ring[..., None], [150, 40, 30], np.array(wall) * shade)
  image = image + np.random.default_rng(0).normal(0, 4, image.shape)
  alpha = cutout.cut_out(Image.fromarray(np.uint8(image.clip(0, 255))))[1]
  np.testing.assert_allclose(alpha[..., 0] > 0.5, ring, atol=0)


def test_small_spots_of_the_background_colour_stay():
  image = picture()
  image[95:98, 335:338] = GREY
  out = cutout.prepare(Image.fromarray(image), 64, fill=0.5)
  assert (out[20:44, 20:44] < 210).all()
