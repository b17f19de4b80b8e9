# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A file is there whole or not at all; too little space is told before."""

import shutil
import types

from etils import epath
import pytest

from threedim_jax.runtime.disk import check_free_space, write_atomically
from threedim_jax.runtime.errors import UserError


def test_two_that_write_at_once_do_not_meet(tmp_path, monkeypatch):
  """The second one starts and ends between the first one's two steps."""
  path = epath.Path(tmp_path) / "result.json"
  write_text = type(path).write_text

  def and_another(self, text):
    monkeypatch.undo()
    write_text(self, text)
    write_atomically(path, "second")
    assert path.read_text() == "second"

  monkeypatch.setattr(type(path), "write_text", and_another)
  write_atomically(path, "first")
  assert path.read_text() == "first"
  assert [p.name for p in path.parent.iterdir()] == ["result.json"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
  path = epath.Path(tmp_path) / "result.json"
  write_atomically(path, "old")

  def full(self, target):
    raise OSError("full")

  monkeypatch.setattr(type(path), "replace", full)
  with pytest.raises(OSError, match="full"):
    write_atomically(path, "new")
  assert path.read_text() == "old"
  assert [p.name for p in path.parent.iterdir()] == ["result.json"]


def test_free_space(tmp_path, monkeypatch):
  usage = types.SimpleNamespace(free=5_000_000)
  monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
  target = tmp_path / "not" / "yet"
  check_free_space(target, 5_000_000, "a checkpoint")
  check_free_space("gs://bucket/run", 1e12, "a checkpoint")
  with pytest.raises(UserError) as error:
    check_free_space(target, 6_000_000_000, "a checkpoint")
  message = str(error.value)
  assert "a checkpoint" in message and str(target) in message
  assert "6,000 MB" in message and "5 MB" in message
