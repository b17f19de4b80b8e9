# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A folder that cannot be written to is a sentence, in every mode."""

import errno
import os
import pathlib

from fake_run import fake_sample
from main_test import assert_one_paragraph
import pytest

from threedim_jax.workdir.samples import write_sample


@pytest.fixture
def mode_args(tmp_path, tiny_data, monkeypatch):
  """Arguments of a mode that has something to read, and little to do."""
  from threedim_jax.evaluation.fields import mesh
  from threedim_jax.modes import score

  # What takes long comes before anything is written.
  monkeypatch.setattr(mesh, "fit_mesh", lambda *_, **__: (None, 1.0))
  monkeypatch.setattr(score, "open_networks", lambda weights: ())
  folder = write_sample(tmp_path / "samples", fake_sample("chair_0", seed=0))
  config, _ = tiny_data
  return {
    "score": [f"--samples={folder.parent}", "--num_steps=1"],
    "mesh": [f"--samples={folder}"],
    "check_data": config,
    "train": config,
  }


@pytest.mark.parametrize("mode", ["score", "mesh", "check_data", "train"])
def test_a_workdir_that_is_or_lies_in_a_file(
  run_main, mode_args, tmp_path, mode
):
  file = tmp_path / "notes.txt"
  file.write_text("kept")
  for workdir in (file, file / "w"):
    result = run_main(
      f"--mode={mode}", f"--workdir={workdir}", *mode_args[mode]
    )
    assert_one_paragraph(result, str(file), "--workdir")
  assert file.read_text() == "kept"


@pytest.mark.parametrize(
  ("code", "words"),
  [
    (errno.EACCES, "(Permission denied)"),
    (errno.EROFS, "(Read-only file system)"),
    (errno.ENOSPC, "is full"),
  ],
)
def test_a_disk_that_refuses(
  run_main, mode_args, tmp_path, monkeypatch, code, words
):
  workdir, mkdir = tmp_path / "w", os.mkdir

  def refuse(path, *args, **kwargs):
    if workdir in (pathlib.Path(path), *pathlib.Path(path).parents):
      raise OSError(code, os.strerror(code), str(path))
    return mkdir(path, *args, **kwargs)

  monkeypatch.setattr(os, "mkdir", refuse)
  args = ("--mode=mesh", f"--workdir={workdir}", *mode_args["mesh"])
  assert_one_paragraph(run_main(*args), str(workdir), words)
