# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder contract: round trip, unfinished folders."""

import dataclasses
import json
import subprocess
import sys

from etils import epath
from fake_run import fake_sample
import numpy as np
from PIL import Image
import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir import samples


@pytest.fixture
def sampled():
  return fake_sample(num_views=4, resolution=8)


@pytest.fixture
def folder(tmp_path, sampled):
  return samples.write_sample(tmp_path, sampled)


def assert_same(a: samples.ObjectSamples, b: samples.ObjectSamples) -> None:
  assert (a.object_id, a.info) == (b.object_id, b.info)
  assert (a.truth is None) == (b.truth is None)
  for part in ("given", "generated", *["truth"] * (a.truth is not None)):
    for field in ("images_u8", "world_from_cam", "K", "index"):
      x, y = (getattr(getattr(s, part), field) for s in (a, b))
      assert x.dtype == y.dtype
      np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("truth", [True, False])
def test_reads_back_what_was_written(tmp_path, truth):
  sampled = fake_sample(num_views=4, resolution=8, truth=truth)
  folder = samples.write_sample(tmp_path, sampled)
  assert_same(samples.read_sample(folder), sampled)


def test_the_files_are_those_of_the_contract(folder, sampled):
  assert {p.name for p in folder.iterdir()} == {
    *("000.png", "001.png", "002.png"),
    *("truth_000.png", "truth_001.png", "truth_002.png"),
    *("input_000.png", "input.json", "cameras.npz", "input_cameras.npz"),
  }
  info = json.loads((folder / "input.json").read_text())
  assert info["complete"] is True
  assert info["input_views"] == [0]
  assert info["input_files"] == ["input_000.png"]
  assert info["truth_files"] == [f"truth_00{i}.png" for i in range(3)]
  with np.load(folder / "cameras.npz", allow_pickle=False) as npz:
    assert {k: npz[k].dtype.name for k in npz} == {
      "world_from_cam": "float32",
      "K": "float32",
      "hw": "int32",
      "view": "int32",
    }
    assert npz["hw"].tolist() == [8, 8]
  with Image.open(folder / "001.png") as image:
    np.testing.assert_array_equal(
      np.array(image), sampled.generated.images_u8[1]
    )


def test_a_shorter_orbit_leaves_nothing_of_the_longer_one(folder):
  shorter = fake_sample(num_views=3, resolution=8, truth=False)
  samples.write_sample(folder.parent, shorter)
  assert_same(samples.read_sample(folder), shorter)
  assert not list(folder.glob("truth_*"))


@pytest.mark.parametrize("before", ["nothing", "a finished folder"])
def test_a_killed_writer_leaves_no_finished_folder(
  tmp_path, sampled, monkeypatch, before
):
  """Whatever the moment of death, until the very last step."""
  real = epath.Path
  path_type = type(real(tmp_path))
  moments = 0
  while True:
    if before != "nothing":
      samples.write_sample(tmp_path, sampled)
    left = moments

    def die_in_time(method):
      def wrapped(self, *args, **kwargs):
        nonlocal left
        if left == 0:
          raise KeyboardInterrupt
        left -= 1
        return method(self, *args, **kwargs)

      return wrapped

    with monkeypatch.context() as patch:
      for name in ("write_bytes", "write_text", "replace"):
        patch.setattr(path_type, name, die_in_time(getattr(path_type, name)))
      try:
        samples.write_sample(tmp_path, sampled)
        break
      except KeyboardInterrupt:
        assert samples.list_complete(tmp_path) == []
    moments += 1
  assert moments == 7 + 2 + 2  # images, cameras, input.json and its rename
  assert len(samples.list_complete(tmp_path)) == 1


def test_list_complete_is_sorted_and_skips_the_rest(tmp_path):
  assert samples.list_complete(tmp_path / "nowhere") == []
  for name in ("b", "a", "c"):
    samples.write_sample(tmp_path, fake_sample(name, num_views=2, resolution=8))
  (tmp_path / "c" / "input.json").write_text('{"complete": tr')
  (tmp_path / "d").mkdir()
  (tmp_path / "e.txt").write_text("")
  assert [p.name for p in samples.list_complete(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
  "object_id",
  ["", ".", "..", "../x", "/", "/etc", "a/b", "a\\b", "a\0b", ".hidden"]
  + ["a\nb", "x" * 201, "\ud800"],
)
def test_unsafe_object_ids_are_refused(tmp_path, sampled, object_id):
  with pytest.raises(UserError, match="cannot name a folder"):
    samples.write_sample(
      tmp_path / "samples", dataclasses.replace(sampled, object_id=object_id)
    )
  assert not list(tmp_path.iterdir())


def test_reading_and_showing_load_no_training_libraries():
  script = (
    "import sys, threedim_jax.viewing.report, threedim_jax.viewing.show;"
    "assert not {'tensorflow', 'clu', 'grain', 'orbax'} & set(sys.modules)"
  )
  subprocess.run([sys.executable, "-c", script], check=True)
