# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""An SRN archive of three objects with noise for pictures, as a dictionary.

write_zip(tmp_path / "srn_cars.zip", car_files(num_views=3))
objects = read_all(tmp_path, "train")
"""

import io
import pathlib
import zipfile

import numpy as np
from PIL import Image
from srn.archive import open_archive
from srn.objects import read_object

from threedim_jax.inputs.posed_images.text_files import format_pose
from threedim_jax.views import camera_paths


def picture(seed: int, resolution=16) -> np.ndarray:
  size = (resolution, resolution, 3)
  return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


def stored_png(pixels: np.ndarray) -> bytes:
  """Not the bytes that our own encoder would make."""
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, "PNG", compress_level=0)
  return buffer.getvalue()


def write_zip(path: pathlib.Path, files: dict[str, bytes]) -> None:
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
    for name, data in files.items():
      z.writestr(name, data)


def car_files(top="", num_views=3, resolution=16) -> dict[str, bytes]:
  """An archive with two training objects and a test object."""
  poses = camera_paths.srn_spiral(num_views, 1.3).astype(np.float32)
  f = 131.25 * resolution / 128
  c = resolution / 2
  text = f"{f} {c} {c} 0.\n0. 0. 0.\n1.\n{resolution} {resolution}\n"
  files = {}
  for k, name in enumerate(("cars_train/b1", "cars_train/a0", "cars_test/c2")):
    files[f"{top}{name}/intrinsics.txt"] = text.encode()
    for v in range(num_views):
      png = stored_png(picture(10 * k + v, resolution))
      files[f"{top}{name}/rgb/{v:06d}.png"] = png
      files[f"{top}{name}/pose/{v:06d}.txt"] = format_pose(poses[v]).encode()
  return files


def read_all(manual_dir, split="train", resolution=16) -> list[list[dict]]:
  """The records of every object of a split of the cars in `manual_dir`."""
  archive = open_archive("cars", manual_dir)
  raw = [archive.read(e) for e in archive.objects[split]]
  return [read_object(r, resolution) for r in raw]
