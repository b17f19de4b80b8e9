# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a visitor of the demo uploads."""

from PIL import Image


def picture(tmp_path, name="a.png", size=(60, 60)) -> str:
  image = Image.new("RGB", size, "white")
  image.paste((20, 20, 200), (10, 10, 30, 50))
  image.save(tmp_path / name)
  return str(tmp_path / name)
