# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of samples: resumed with equal settings, never lost to others."""

import dataclasses
import functools

from noise_sampler import NoiseSampler
import numpy as np
import pytest
import tiny_dataset

from threedim_jax.inputs.view_source import open_views
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.stop_signal import StopSignal
from threedim_jax.sampling.generate import generate
from threedim_jax.sampling.scene import read_scene
from threedim_jax.sampling.view_sampler import Settings
from threedim_jax.workdir.protocol import Request

SETTINGS = Settings(seed=3)


@pytest.fixture
def views(tmp_path):
  tiny_dataset.write_tiny_dataset(tmp_path, 3, 4, 16)
  return open_views(str(tmp_path), "tiny", "16", "test")


@pytest.fixture
def run(views, tmp_path):
  """run(sampler, settings, ...) -> (samples by object id, batches sampled)."""

  def run(settings=SETTINGS, sampler=None, wanted=(0, 2), **options):
    sampler = sampler or NoiseSampler()
    requests = [Request(i, (1,), wanted) for i in views.object_ids]
    read = functools.partial(read_scene, views)
    found = generate(
      sampler, requests, read, tmp_path / "samples", settings,
      batch_size=2, **options,
    )  # fmt: skip
    return {s.object_id: s for s in found}, sampler.num_batches

  return run


def files(tmp_path) -> dict:
  paths = (tmp_path / "samples").rglob("*")
  return {p: p.read_bytes() for p in paths if p.is_file()}


def test_equal_settings_resume_and_missing_folders_are_filled(run, tmp_path):
  first, num_batches = run()
  assert len(first) == 3 and num_batches == 2
  before = files(tmp_path)
  again, num_batches = run()
  assert num_batches == 0 and files(tmp_path) == before
  for object_id, sampled in first.items():
    np.testing.assert_array_equal(
      again[object_id].generated.images_u8, sampled.generated.images_u8
    )
  # These two were in different batches; now they share one.
  lost, _, damaged = (tmp_path / "samples" / name for name in first)
  (lost / "input.json").unlink()
  (damaged / "001.png").write_bytes(b"broken")
  _, num_batches = run()
  assert num_batches == 1
  pictures = lambda files: {
    k: v for k, v in files.items() if k.suffix == ".png"
  }
  assert pictures(files(tmp_path)) == pictures(before)


def test_how_long_sampling_takes_is_said_after_the_first_views(run, announced):
  run()
  (line,) = announced("sample views")
  assert " more, 4 views at " in line, "of 3 objects x 2, the first 2 are done"


class OtherWeights(NoiseSampler):
  def facts(self):
    return {"checkpoint_step": 0, "pretrained": "shapes32"}


@pytest.mark.parametrize(
  "change, message",
  [
    (
      {"settings": dataclasses.replace(SETTINGS, guidance_weight=7.0)},
      "guidance_weight was 0.5 and is now 7.0",
    ),
    (
      {"settings": dataclasses.replace(SETTINGS, conditioning="first")},
      "conditioning was stochastic and is now first",
    ),
    ({"sampler": OtherWeights()}, "pretrained was unknown and is now shapes32"),
    ({"wanted": (0,)}, r"views was \[0, 2\] and is now \[0\]"),
  ],
)
def test_other_settings_leave_the_samples_alone(run, tmp_path, change, message):
  run()
  before = files(tmp_path)
  with pytest.raises(UserError, match=f"(?s){message}.*--overwrite"):
    run(**change)
  assert files(tmp_path) == before
  found, num_batches = run(**change, overwrite=True)
  assert num_batches == 2 and files(tmp_path) != before
  with pytest.raises(UserError, match="and is now"):
    run()  # back from bundled weights to a checkpoint, and so on
  assert len(found) == 3


@pytest.mark.parametrize(
  "changed, message",
  [
    (
      lambda seen: seen.with_images(seen.images_u8 // 2),
      "the given picture differs; the true pictures differ",
    ),
    (
      lambda seen: dataclasses.replace(seen, K=seen.K * 0.9),
      r"the cameras differ \(for example --azimuth, .* or --path\)",
    ),
  ],
)
def test_other_data_under_the_same_names_is_noticed(
  run, views, monkeypatch, changed, message
):
  """The message says what differs, not its checksum."""
  run()
  original = views.object
  monkeypatch.setattr(views, "object", lambda *args: changed(original(*args)))
  with pytest.raises(UserError, match=rf"settings: {message}\. They"):
    run()


def test_a_run_that_is_told_to_stop_keeps_what_is_written(
  run, tmp_path, monkeypatch
):
  polls = []

  def stops_at_the_fourth_view(self):
    polls.append(1)
    return len(polls) == 4

  with monkeypatch.context() as patch:
    patch.setattr(StopSignal, "poll", stops_at_the_fourth_view)
    with pytest.raises(SystemExit) as stopped:
      run()
  assert stopped.value.code == 75
  assert len(list((tmp_path / "samples").iterdir())) == 2  # one batch
  assert len(run()[0]) == 3
