# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Photos: files of every kind, broken ones, and colour profiles."""

import io
import pathlib
import struct
import sys

from etils import epath
import icc_profiles
import numpy as np
from PIL import Image, ImageCms, ImageOps
import pytest

from threedim_jax.inputs import photo as photo_files
from threedim_jax.inputs.cutout import prepare
from threedim_jax.inputs.photo import (
  decode_photo,
  open_photo,
)
from threedim_jax.inputs.posed_images import pictures
from threedim_jax.runtime.errors import UserError

PHOTOS = pathlib.Path(__file__).parents[1] / "data/photos"
PLAIN = Image.fromarray(np.full((300, 500, 3), (200, 30, 20), np.uint8))

# -------------------------------------------------------------------- files


def encoded(image, format="PNG", **kwargs) -> bytes:
  data = io.BytesIO()
  image.save(data, format=format, **kwargs)
  return data.getvalue()


@pytest.mark.parametrize("orientation", range(10))
def test_opens_a_photo_as_the_camera_was_held(tmp_path, orientation):
  exif = Image.Exif()
  exif[0x0112] = orientation
  path = tmp_path / "a.png"
  path.write_bytes(encoded(PLAIN, exif=exif))
  with Image.open(path) as image:
    expected = np.asarray(ImageOps.exif_transpose(image))
  np.testing.assert_array_equal(open_photo(path), expected)


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
  assert decode_photo(data, "photo").size == size


def test_bad_files_are_one_sentence(tmp_path, monkeypatch):
  with pytest.raises(UserError, match="There is no picture"):
    open_photo(tmp_path / "none.png")
  good = encoded(PLAIN)
  for data in (b"", b"text", good[:60], good[:-30]):
    with pytest.raises(UserError, match="photo does not decode"):
      decode_photo(data, "photo")
  monkeypatch.setattr(pictures, "MAX_PIXELS", 1000)
  with pytest.raises(UserError, match="500 x 300 pixels"):
    decode_photo(good, "photo")
  monkeypatch.setattr(photo_files, "MAX_BYTES", 10)
  (tmp_path / "large.png").write_bytes(good)
  with pytest.raises(UserError, match="save it smaller"):
    open_photo(tmp_path / "large.png")


@pytest.mark.parametrize(
  "start, kind",
  [
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
    (b"%PDF-1.7", "a PDF document"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript document"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"\0\0\0\x20ftypisom", "a video"),
    (b"8BPS\0\1", "a Photoshop document"),
  ],
)
def test_other_files_are_named(start, kind):
  with pytest.raises(UserError, match=f"photo is {kind}.* as PNG or JPEG"):
    decode_photo(start + bytes(100), "photo")


def test_heic_is_read_with_its_plug_in():
  heif = pytest.importorskip("pillow_heif")
  heif.register_heif_opener()
  found = np.asarray(decode_photo(encoded(PLAIN, "HEIF"), "photo"))
  assert found.shape == (300, 500, 3)
  assert np.abs(found - np.int32((200, 30, 20))).max() < 4
  with pytest.raises(UserError, match="damaged HEIC"):
    open_photo(PHOTOS / "damaged.heic")


def test_heic_without_its_plug_in_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "pillow_heif", None)
  pictures._can_read_heif.cache_clear()
  with pytest.raises(UserError, match="is a HEIC picture.*pip install pillow"):
    open_photo(PHOTOS / "damaged.heic")
  pictures._can_read_heif.cache_clear()


# ------------------------------------------------------------------ colours


def srgb_of(data) -> np.ndarray:
  return np.asarray(pictures.to_srgb(decode_photo(data, "photo")), int)


def test_display_p3_equals_its_twin_in_srgb():
  p3, srgb = (
    prepare(open_photo(PHOTOS / name), 64).astype(int)
    for name in ("p3.png", "srgb.png")
  )
  assert np.abs(p3 - srgb).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_adobe_rgb_becomes_srgb(mode, format):
  color = (90, 160, 70)
  image = Image.new("RGB", (8, 8), color).convert(mode)
  if mode == "RGBA":
    image.putalpha(77)
  stored = np.array(image.convert("RGB"))[0, 0]
  options = {"icc_profile": icc_profiles.adobe_rgb(), "lossless": True}
  found = srgb_of(encoded(image, format, **options))
  want = icc_profiles.srgb_from_adobe(stored)
  assert np.abs(found[0, 0, :3] - want).max() <= 1.5
  assert np.abs(want - stored).max() > 10, "the profile matters"
  if mode == "RGBA":
    assert found[0, 0, 3] == 77


def colour_space(space: int, index: bytes) -> bytes:
  """An EXIF block with a ColorSpace and an InteroperabilityIndex."""

  def ifd(*entries):
    body = b"".join(
      struct.pack("<HHI4s", tag, kind, count, value)
      for tag, kind, count, value in entries
    )
    return struct.pack("<H", len(entries)) + body + bytes(4)

  long = lambda number: struct.pack("<I", number)
  blocks = ifd((0x8769, 4, 1, long(26)))  # starts at 8, takes 18 bytes
  blocks += ifd((0xA001, 3, 1, long(space)), (0xA005, 4, 1, long(56)))
  return b"Exif\0\0II*\0\x08\0\0\0" + blocks + ifd((1, 2, 4, index))


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADOBE = colour_space(65535, b"R03\0")


@pytest.mark.parametrize("color", [(90, 160, 70), (200, 120, 90), (20, 9, 250)])
@pytest.mark.parametrize(
  "mode, format",
  [("RGB", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("RGBA", "WEBP")],
)
def test_adobe_rgb_that_only_exif_states(color, mode, format):
  image = Image.new(mode, (8, 8), (*color, 77)[: len(mode)])
  options = {"lossless": True, "quality": 100}
  plain = srgb_of(encoded(image, format, **options))[0, 0]
  found = srgb_of(encoded(image, format, exif=ADOBE, **options))[0, 0]
  want = icc_profiles.srgb_from_adobe(plain[:3])
  assert np.abs(found[:3] - want).max() <= 1
  assert np.abs(want - plain[:3]).max() > 3, "the colour space matters"
  assert (found[3:] == plain[3:]).all()


@pytest.mark.parametrize(
  "options",
  [
    {"exif": colour_space(1, b"R98\0")},
    {"exif": colour_space(65535, b"R98\0")},
    {"exif": ADOBE[:60]},
    {"exif": ADOBE, "icc_profile": SRGB},
  ],
)
def test_exif_of_another_colour_space_changes_nothing(options):
  found = srgb_of(encoded(PLAIN, **options))
  assert np.abs(found - np.asarray(PLAIN, int)).max() <= 1


def test_cmyk_with_and_without_a_profile():
  inks = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
  plain = srgb_of(encoded(inks, "JPEG", quality=100))[0, 0]
  assert np.abs(plain - [0, 255, 255]).max() <= 2
  profile = icc_profiles.grey_ink_cmyk()
  for format in ("JPEG", "TIFF"):
    grey = srgb_of(encoded(inks, format, icc_profile=profile))[0, 0]
    assert np.abs(grey - 119).max() <= 4, "L* = 50"


@pytest.mark.parametrize(
  "image, profile",
  [
    (PLAIN, b"no profile"),
    (PLAIN, icc_profiles.grey_ink_cmyk()),  # of other channels
    (PLAIN.convert("L"), icc_profiles.grey_ink_cmyk()),
  ],
)
def test_a_profile_that_cannot_be_right_is_ignored(image, profile):
  found = srgb_of(encoded(image, icc_profile=profile))
  np.testing.assert_array_equal(found, image.convert("RGB"))


def test_a_turned_photo_keeps_its_colour_profile():
  exif = Image.Exif()
  exif[0x0112] = 6
  profile = icc_profiles.adobe_rgb()
  data = encoded(PLAIN, exif=exif, icc_profile=profile)
  turned = decode_photo(data, "photo")
  assert turned.size == (300, 500) and turned.info["icc_profile"] == profile


def test_far_too_many_pixels_are_named(tmp_path, monkeypatch):
  """Pillow itself refuses to open such a file."""
  monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
  path = tmp_path / "huge.png"
  path.write_bytes(encoded(PLAIN))
  message = "has too many pixels; at most 50 million"
  with pytest.raises(UserError, match=message):
    pictures.open_picture(path.read_bytes(), "huge.png")
  with pytest.raises(UserError, match=message):
    pictures.read_hw(epath.Path(path))
