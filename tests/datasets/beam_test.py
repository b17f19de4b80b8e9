# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Building on Apache Beam: the same files, and nothing done twice."""

import pathlib
import shutil

from mesh_folders import build_meshes, colored_box
import pytest

from threedim_jax.runtime.errors import UserError

pytest.importorskip("apache_beam", reason="the extra [beam] is not installed")
ON_BEAM = ("--beam_options", "--runner=DirectRunner")


@pytest.fixture
def source(tmp_path) -> pathlib.Path:
  for i in range(5):
    colored_box(tmp_path / f"toys/{i}.ply", (40 * i, 100, 200))
  return tmp_path / "toys"


@pytest.mark.slow
@pytest.mark.parametrize(
  "options",
  [
    "--runner=DirectRunner",
    "--direct_running_mode=multi_processing --direct_num_workers=2",
  ],
)
def test_the_files_are_those_of_the_local_pool(options, source, tmp_path):
  (source / "bad.obj").write_text("v 0 0 0\n")
  local = build_meshes(source, tmp_path / "a", "--skip_bad")
  remote = build_meshes(
    source, tmp_path / "b", "--skip_bad", "--beam_options", options
  )
  names = sorted(p.name for p in local.iterdir())
  assert names == sorted(p.name for p in remote.iterdir())
  for name in names:
    assert (local / name).read_bytes() == (remote / name).read_bytes(), name
  assert not list(remote.parent.glob(".beam*")), "nothing is left behind"


@pytest.mark.slow
def test_a_build_that_was_stopped_goes_on(source, tmp_path, monkeypatch):
  """Only results that are missing or report a faulty file are made again."""
  (source / "bad.obj").write_text("v 0 0 0\n")
  with pytest.raises(UserError, match="bad.obj has no faces"):
    build_meshes(source, tmp_path, *ON_BEAM)
  (folder,) = (tmp_path / "meshes/toys_debug").glob(".beam*")
  results = [p for p in folder.rglob("[0-9]*") if p.is_file()]
  made = {p: p.stat().st_mtime_ns for p in results}
  (faulty,) = [p for p in made if p.suffix == ".faulty"]
  lost = min(p for p in made if p != faulty)
  lost.unlink()
  found = {}

  def look_first(path, *args, **kwargs):
    if path == folder:
      found.update({p: p.stat().st_mtime_ns for p in made})
    return rmtree(path, *args, **kwargs)

  rmtree = shutil.rmtree
  monkeypatch.setattr(shutil, "rmtree", look_first)
  build_meshes(source, tmp_path, *ON_BEAM, "--skip_bad")
  assert not folder.exists()
  assert {p for p in made if found[p] != made[p]} == {lost, faulty}


@pytest.mark.parametrize(
  "options, message",
  [
    ("--runner=Nonsense", "cannot be used"),
    ("--direct_num_workers=x", "cannot be used"),
    ("'", "cannot be used .No closing quotation"),
  ],
)
def test_wrong_options_are_named(options, message, source, tmp_path):
  with pytest.raises(UserError, match=message):
    build_meshes(source, tmp_path, "--beam_options", options)
