# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Feeds damaged photos and folders of posed pictures to their readers.

python tests/support/picture_fuzz.py all --number 10000    # a table
python tests/support/picture_fuzz.py png --number 1 --first 123    # one try
"""

import io
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "datasets"), str(ROOT / "tests/support")]

import icc_profiles  # noqa: E402
from mutations import Outcome, command_line, fuzz  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from posed_folders import (  # noqa: E402
  srn_intrinsics,
  write_pose_folder,
  write_transforms,
)

from threedim_jax.inputs.cutout import prepare  # noqa: E402
from threedim_jax.inputs.photo import open_photo  # noqa: E402
from threedim_jax.inputs.posed_images import read_posed_images  # noqa: E402
from threedim_jax.runtime import progress  # noqa: E402
from threedim_jax.views import camera_paths  # noqa: E402

SIDE = 24
POSES = camera_paths.orbit(3, 20, 2.0)
K = camera_paths.default_K(SIDE)


def _photo(format: str, mode: str = "RGB") -> dict[str, bytes]:
  """A red box on grey, with EXIF and a colour profile."""
  pixels = np.full((40, 50, 3), 120, np.uint8)
  pixels[10:30, 15:40] = (200, 30, 20)
  image, file, exif = Image.fromarray(pixels), io.BytesIO(), Image.Exif()
  exif[0x0112] = 6
  image = image.convert(mode)
  profile = icc_profiles.adobe_rgb()
  image.save(file, format, exif=exif, icc_profile=profile)
  return {f"photo.{format.lower()}": file.getvalue()}


def _files_of(write) -> dict[str, bytes]:
  """What `write(folder)` writes, by relative path."""
  with tempfile.TemporaryDirectory() as name:
    folder = write(pathlib.Path(name))
    return {
      str(path.relative_to(folder)): path.read_bytes()
      for path in folder.rglob("*")
      if path.is_file()
    }


def _pictures() -> np.ndarray:
  return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 4), np.uint8)


def _transforms(folder: pathlib.Path) -> pathlib.Path:
  head = {"fl_x": 24.6, "cx": 12, "cy": 12, "w": SIDE, "h": SIDE, "k1": -0.2}
  write_transforms(
    folder, head, ["a/0", "a/1", "a/2"], _pictures(), POSES, mask_path="m.png"
  )
  Image.new("L", (SIDE, SIDE), 255).save(folder / "m.png")
  return folder


def _pose_folder(names: list[str], text: str):
  return lambda folder: write_pose_folder(
    folder, names, _pictures(), POSES, text
  )


def _nsvf_K() -> str:
  full = np.eye(4)
  full[:3, :3] = K
  return "\n".join(" ".join(map(str, row)) for row in full)


READERS = {
  "png": lambda: _photo("PNG", "RGBA"),
  "jpeg": lambda: _photo("JPEG"),
  "webp": lambda: _photo("WEBP"),
  "tiff": lambda: _photo("TIFF"),
  "transforms.json": lambda: _files_of(_transforms),
  "nsvf": lambda: _files_of(
    _pose_folder(["0_0", "1_1", "2_2"], _nsvf_K()),
  ),
  "srn": lambda: _files_of(
    _pose_folder(["0", "1", "2"], srn_intrinsics(K, (SIDE, SIDE)))
  ),
}


def read(files: dict[str, bytes]) -> None:
  """Reads a photo or a folder; fails if anything is written."""
  with tempfile.TemporaryDirectory() as name:
    os.chdir(name)
    folder = pathlib.Path(name, "in")
    for path, data in files.items():
      (folder / path).parent.mkdir(parents=True, exist_ok=True)
      (folder / path).write_bytes(data)
    before = sorted(pathlib.Path(name).rglob("*"))
    try:
      if len(files) == 1:
        (path,) = files
        image_u8 = prepare(open_photo(folder / path), 16)
        assert image_u8.shape == (16, 16, 3)
      else:
        views = read_posed_images(folder)
        assert np.isfinite(views.K).all()
    finally:
      os.chdir(ROOT)
      after = sorted(pathlib.Path(name).rglob("*"))
      assert before == after, f"wrote {set(after) - set(before)}"


def fuzz_reader(reader: str, number: int, seed: int, first: int) -> Outcome:
  progress.set_quiet(True)
  return fuzz(read, READERS[reader](), number, seed, first)


if __name__ == "__main__":
  command_line(__file__, __doc__, READERS, fuzz_reader)
