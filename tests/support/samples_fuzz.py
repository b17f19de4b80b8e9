# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Feeds damaged folders of samples to what scores, fits and shows them.

python tests/support/samples_fuzz.py score --number 1 --first 123
"""

import functools
import io
import json
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

from mutations import Outcome, command_line, fuzz  # noqa: E402
import numpy as np  # noqa: E402

from threedim_jax.evaluation.consistency import ConsistencyProtocol  # noqa: E402
from threedim_jax.evaluation.fields.box import boxes_from_cameras  # noqa: E402
from threedim_jax.evaluation.truth_scores import score_object  # noqa: E402
from threedim_jax.evaluation.view_sets import samples_source  # noqa: E402
from threedim_jax.views import camera_paths  # noqa: E402
from threedim_jax.views.posed_views import PosedViews  # noqa: E402
from threedim_jax.workdir import samples  # noqa: E402

NUM_VIEWS, SIZE = 8, 12


@functools.cache
def folder_files() -> dict[str, bytes]:
  """The files of a finished folder, all readable."""
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (NUM_VIEWS, SIZE, SIZE, 3), np.uint8)
  poses = np.float32(
    camera_paths.orbit(NUM_VIEWS, elevation_deg=30.0, radius=2)
  )
  K = np.float32(np.tile(camera_paths.default_K(SIZE), (NUM_VIEWS, 1, 1)))
  views = PosedViews(images, poses, K, np.arange(NUM_VIEWS, dtype=np.int32))
  sampled = samples.ObjectSamples(
    object_id="a", given=views[:1], generated=views[1:], truth=views[1:],
    info={"seed": 0, "psnr": [20.0] * (NUM_VIEWS - 1)},
  )  # fmt: skip
  with tempfile.TemporaryDirectory() as name:
    folder = samples.write_sample(name, sampled)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _score(parent: pathlib.Path) -> None:
  """Up to the fit, of which the cameras' box is the only part that can fail."""
  for origin in samples_source(parent, num_views=100).values():
    for each in origin.load():
      views = each.views
      ConsistencyProtocol().held_out(len(views))
      center, radius = boxes_from_cameras(
        views.world_from_cam[None], views.K[None], views.hw
      )
      assert np.isfinite(center).all() and np.isfinite(radius).all()
      assert radius[0] > 0


def _truth(parent: pathlib.Path) -> None:
  for folder in samples.list_complete(parent):
    sampled = samples.read_sample(folder)
    if sampled.truth is not None:
      json.dumps(score_object([sampled], {}), allow_nan=False)


def _report(parent: pathlib.Path) -> None:
  for folder in samples.list_complete(parent):
    json.dumps(samples.read_settings(folder))


USES = {"score": _score, "truth": _truth, "report": _report}


def to_damage() -> dict[str, bytes]:
  """Files to damage, and the arrays of one, whose checksum guards them."""
  files = folder_files()
  arrays = {key: array.tobytes() for key, array in _arrays().items()}
  names = ("input.json", "cameras.npz", "000.png")
  return {name: files[name] for name in names} | arrays


def _arrays() -> dict[str, np.ndarray]:
  with np.load(io.BytesIO(folder_files()["cameras.npz"])) as npz:
    return dict(npz)


def read(use: str, damaged: dict[str, bytes]) -> None:
  files, arrays = folder_files() | damaged, _arrays()
  for key, array in arrays.items():
    if (data := files.pop(key)) != array.tobytes():
      data = data[: array.nbytes].ljust(array.nbytes, b"\0")
      arrays[key] = np.frombuffer(data, array.dtype).reshape(array.shape)
      npz = io.BytesIO()
      np.savez(npz, **arrays)
      files["cameras.npz"] = npz.getvalue()
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name, "a")
    folder.mkdir()
    for path, data in files.items():
      (folder / path).write_bytes(data)
    USES[use](pathlib.Path(name))


def fuzz_use(use: str, number: int, seed: int, first: int) -> Outcome:
  return fuzz(functools.partial(read, use), to_damage(), number, seed, first)


if __name__ == "__main__":
  command_line(__file__, __doc__, USES, fuzz_use)
