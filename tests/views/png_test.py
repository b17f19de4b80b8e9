# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""PNG files: the round trip, and that no damage goes unseen."""

import io

import numpy as np
from PIL import Image
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.views.png import decode_png, encode_png


def as_png(image: Image.Image) -> bytes:
  data = io.BytesIO()
  image.save(data, format="PNG")
  return data.getvalue()


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "I;16"])
def test_only_8_bit_rgb_pngs_are_read(mode):
  with pytest.raises(UserError, match="a.png is a PNG.* not an 8-bit RGB"):
    decode_png(as_png(Image.new(mode, (8, 8))), "a.png")


def test_no_damage_to_a_png_goes_unseen():
  """Every truncation, and every flipped bit: an error or the same picture."""
  image_u8 = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
  data = encode_png(image_u8)
  for end in range(len(data)):
    with pytest.raises(UserError, match="a.png"):
      decode_png(data[:end], "a.png")
  num_refused = 0
  for i in range(8 * len(data)):
    flipped = bytearray(data)
    flipped[i // 8] ^= 1 << i % 8
    try:
      np.testing.assert_array_equal(
        decode_png(bytes(flipped), "a.png"), image_u8
      )
    except UserError:
      num_refused += 1
  assert num_refused > 0.9 * 8 * len(data)


def test_png_round_trip():
  image_u8 = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
  np.testing.assert_array_equal(
    decode_png(encode_png(image_u8), "a.png"), image_u8
  )
