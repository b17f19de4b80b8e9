# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Somebody's picture: found, centred, sized and laid over white."""

import io

import numpy as np
from PIL import Image, ImageOps
import pytest

from threedim_jax.inputs import own_image
from threedim_jax.runtime.errors import UserError

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
  out = own_image.prepare(image, 64, fill=0.5)
  assert out.shape == (64, 64, 3) and out.dtype == np.uint8
  assert bounds(out) == (16, 48, 16, 48), "80 pixels are half of the side"
  assert np.abs(out[32, 32] - np.int32(RED)).max() <= 1
  assert (out[:14] == 255).all() and (out[:, :14] == 255).all()


def test_alpha_goes_before_colour():
  rgba = np.dstack([picture(RED), np.zeros((300, 500), np.uint8)])
  rgba[60:140, 300:380, 3] = 255
  out = own_image.prepare(Image.fromarray(rgba), 64, fill=0.5)
  assert bounds(out) == (16, 48, 16, 48)
  half = rgba.copy()
  half[60:140, 340:380, 3] = 140  # still object, but seen through
  out = own_image.prepare(Image.fromarray(half), 64, fill=0.5)
  expected = np.array(RED) * 140 / 255 + 115
  assert np.abs(out[32, 44] - expected).max() <= 2


def test_what_is_white_inside_the_object_stays_object():
  image = picture((255, 255, 255))
  image[80:120, 320:360] = 255
  out = own_image.prepare(Image.fromarray(image), 64, fill=0.5)
  assert bounds(out) == (16, 48, 16, 48) and (out[32, 32] == 255).all()


def test_dirt_does_not_move_the_object():
  image = picture()
  image[10:14, 10:14] = 0
  out = own_image.prepare(Image.fromarray(image), 64, fill=0.5)
  assert bounds(out) == (16, 48, 16, 48)


def test_an_object_at_the_border_gets_white_around_it():
  out = own_image.prepare(
    Image.fromarray(picture(box=(0, 80, 0, 80))), 64, fill=0.5
  )
  assert bounds(out) == (16, 48, 16, 48)
  assert (out[:14] == 255).all(), "the picture ends there"


def test_as_large_as_in_training_unless_told():
  out = own_image.prepare(Image.fromarray(picture()), 100)
  top, bottom, _, _ = bounds(out)
  assert bottom - top == pytest.approx(100 * own_image.FILL, abs=1)


@pytest.mark.parametrize("kind", ["noise", "empty", "transparent"])
def test_no_object_is_one_sentence(kind):
  noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  images = {
    "noise": Image.fromarray(noise),
    "empty": Image.new("RGB", (64, 64), GREY),
    "transparent": Image.new("RGBA", (64, 64), (0, 0, 0, 0)),
  }
  with pytest.raises(UserError, match="transparent background"):
    own_image.prepare(images[kind], 32)


def encoded(image, format="PNG", **kwargs) -> bytes:
  data = io.BytesIO()
  image.save(data, format=format, **kwargs)
  return data.getvalue()


@pytest.mark.parametrize("orientation", range(10))
def test_opens_a_photo_as_the_camera_was_held(tmp_path, orientation):
  exif = Image.Exif()
  exif[0x0112] = orientation
  path = tmp_path / "a.png"
  path.write_bytes(encoded(Image.fromarray(picture()), exif=exif))
  with Image.open(path) as image:
    expected = np.asarray(ImageOps.exif_transpose(image))
  np.testing.assert_array_equal(own_image.open_photo(path), expected)


HEAD = b"Exif\0\0MM\0*\0\0\0\x08"
TURNED = b"\x01\x12\0\3\0\0\0\1\0\x06\0\0"
ODD = b"\x01\x1a\0\2\0\0\0\1\0\0\0\0"  # a fraction as text


@pytest.mark.parametrize(
  ("exif", "size"),
  [
    (b"Exif\0\0 no TIFF header", (40, 20)),
    (HEAD[:-2], (40, 20)),  # cut within a number
    (HEAD + b"\0\2" + TURNED + ODD + bytes(4), (20, 40)),
  ],
)
def test_a_broken_exif_does_not_hide_the_picture(exif, size):
  image = Image.new("RGB", (40, 20))
  # With a resolution of its own Pillow has not looked at the block before.
  data = encoded(image, "JPEG", exif=exif, dpi=(72, 72))
  assert own_image.decode_photo(data, "photo").size == size


def test_bad_files_are_one_sentence(tmp_path, monkeypatch):
  with pytest.raises(UserError, match="There is no picture"):
    own_image.open_photo(tmp_path / "none.png")
  good = encoded(Image.fromarray(picture()))
  for data in (b"", b"<svg/>", good[:60], good[:-30]):
    with pytest.raises(UserError, match="photo does not decode"):
      own_image.decode_photo(data, "photo")
  monkeypatch.setattr(own_image, "MAX_PIXELS", 1000)
  with pytest.raises(UserError, match="500 x 300 pixels"):
    own_image.decode_photo(good, "photo")
  monkeypatch.setattr(own_image, "MAX_BYTES", 10)
  (tmp_path / "large.png").write_bytes(good)
  with pytest.raises(UserError, match="save it smaller"):
    own_image.open_photo(tmp_path / "large.png")
