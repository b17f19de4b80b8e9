# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Programs are kept in a folder of the user alone, or not at all."""

import os

import pytest

from threedim_jax.runtime import compilation_cache


@pytest.fixture
def use_cache(tmp_path, monkeypatch, capsys):
  """Runs it with this home; returns (folder that was set, warning)."""

  def use(home=tmp_path):
    updates = []
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setattr(
      compilation_cache.jax.config, "update", lambda *args: updates.append(args)
    )
    compilation_cache.use_compilation_cache()
    _, warning = capsys.readouterr()
    return dict(updates).get("jax_compilation_cache_dir"), warning

  return use


def test_it_is_made_for_the_user_alone(tmp_path, use_cache):
  for _ in range(2):  # made, then found
    folder, warning = use_cache()
    assert folder == str(tmp_path / "threedim_jax" / "xla") and not warning
    assert os.stat(folder).st_mode & 0o777 == 0o700


def test_a_folder_that_others_own_or_can_write_to_is_not_used(
  tmp_path, use_cache, monkeypatch
):
  folder = tmp_path / "threedim_jax" / "xla"
  folder.mkdir(parents=True)
  folder.chmod(0o770)
  used, warning = use_cache()
  assert used is None
  assert warning.count("\n") == 1 and f"others can write to {folder}" in warning
  monkeypatch.setattr(os, "geteuid", lambda: 12345)
  used, warning = use_cache()
  assert used is None and "belongs to another user" in warning


def test_a_home_that_cannot_be_written_to_stops_nothing(
  tmp_path, use_cache, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "file").write_text("")
  for home in (tmp_path / "file", "/proc", "~/.cache"):
    used, warning = use_cache(home)
    assert used is None
    assert warning.startswith("warning: ") and str(home) in warning
  assert not os.path.exists("~")
