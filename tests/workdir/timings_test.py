# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The seconds of each stage add up, whatever the file held before."""

import json
import sys

import pytest

from threedim_jax.workdir import timings
from threedim_jax.workdir.timings import add_timings


def read(workdir):
  return json.loads((workdir / "timings.json").read_text())


@pytest.fixture
def run(monkeypatch, capsys):
  """run(*words): (exit code, standard error) of the command."""

  def run(*words):
    monkeypatch.setattr(sys, "argv", ["timings", *map(str, words)])
    code = 0
    try:
      timings.main()
    except SystemExit as e:
      code = e.code
    return code, capsys.readouterr().err

  return run


def test_stages_add_up(tmp_path):
  add_timings(tmp_path, {"train": 12.5})
  add_timings(tmp_path, {"train": 1.25, "sample": 3.0})
  assert read(tmp_path) == {"train": 13.8, "sample": 3.0}


@pytest.mark.parametrize("damaged", ["", "[]", "null", '{"train": []}'])
def test_a_damaged_file_starts_from_zero(tmp_path, damaged):
  """The training that adds its time is done, and must not fail for this."""
  (tmp_path / "timings.json").write_text(damaged)
  add_timings(tmp_path, {"train": 2.0})
  assert read(tmp_path) == {"train": 2.0}


def test_the_command_makes_the_folder(tmp_path, run):
  """The first stage of a run may be its installation."""
  workdir = tmp_path / "a" / "b"
  assert run("--workdir", workdir, "install=60", "data=2.5") == (0, "")
  assert read(workdir) == {"install": 60.0, "data": 2.5}


@pytest.mark.parametrize("word", ["install", "install=", "install=x", "=5"])
def test_a_word_of_another_form_is_a_sentence(tmp_path, run, word):
  code, err = run("--workdir", tmp_path, "data=20", word)
  assert code == 2
  assert f"{word!r} is not a name and a number such as install=60" in err
  assert not (tmp_path / "timings.json").exists()


def test_a_file_as_workdir_is_a_sentence(tmp_path, run):
  (tmp_path / "file").write_text("")
  code, err = run("--workdir", tmp_path / "file", "data=20")
  assert code == 2
  assert "file cannot be used" in err
