# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""doctor.py finds what is wrong, says the fix, and leaves nothing behind."""

import collections
from importlib import metadata
import os
import pathlib
import re
import subprocess
import sys

import doctor
import pytest

REPO = pathlib.Path(__file__).parents[2]


def broken(findings) -> list[doctor.Finding]:
  return [(text, fix) for text, fix in findings if fix]


def test_this_machine_is_examined(tmp_path):
  """All checks, in a process of its own, as people call it."""
  workdir = tmp_path / "new/run"
  result = subprocess.run(
    [sys.executable, REPO / "launch/doctor.py", f"--workdir={workdir}"],
    capture_output=True, text=True, env={**os.environ, "XLA_FLAGS": ""},
  )  # fmt: skip
  # This machine may lack something, but then the fix must be said.
  fixes = result.stdout.count("\n     -> ")
  assert result.returncode == (2 if fixes else 0), result.stderr
  for name in ("packages", "devices", "machine", "workdir"):
    assert re.search(rf"^(ok  |FIX ) {name}: ", result.stdout, re.M)
  assert re.search(r"^ok   devices: \d+ x cpu", result.stdout, re.M)
  assert not list(tmp_path.iterdir())


def test_flags_that_end_jax_are_named(monkeypatch):
  monkeypatch.setenv("XLA_FLAGS", "--xla_no_such=1")
  [(text, fix)] = doctor.check_devices()
  assert "--xla_no_such=1" in text and "without XLA_FLAGS" in fix


def test_an_accelerator_that_jax_does_not_use(monkeypatch):
  files = {"/dev/accel[0-9]*": ["/dev/accel0"]}
  monkeypatch.setattr(doctor.glob, "glob", lambda p: files.get(p, []))
  [(text, fix)] = doctor.check_devices()
  assert text.endswith("has a TPU") and "pip install -e '.[tpu]'" in fix


def test_devices_that_do_not_answer(monkeypatch):
  monkeypatch.setattr(doctor, "DEVICES_TIMEOUT_S", 0.1)
  [(text, fix)] = doctor.check_devices()
  assert "does not answer" in text and "another process" in fix


def test_packages(monkeypatch):
  wanted = [
    "numpy>=99", "no-such-package>=1", "pytest>=1", "absent; extra == 'tpu'",
  ]  # fmt: skip
  monkeypatch.setattr(metadata, "requires", lambda name: wanted)
  assert [fix for _, fix in broken(doctor.check_packages())] == [
    "pip install 'numpy>=99'",
    "pip install 'no-such-package>=1'",
  ]
  monkeypatch.undo()
  assert next(doctor.check_packages())[0].startswith("jax ")


@pytest.mark.parametrize("free", [64 * 2**20, 8 * 2**30])
def test_shared_memory_of_a_container(free, monkeypatch):
  usage = collections.namedtuple("usage", "total used free")
  monkeypatch.setattr(doctor.shutil, "disk_usage", lambda p: usage(1, 0, free))
  found = [fix for text, fix in doctor.check_machine() if "shared" in text]
  assert ("--shm-size" in found[0]) == (free < doctor.MIN_SHM)


def test_workdir_that_is_a_file(tmp_path):
  (tmp_path / "file").write_text("")
  [(text, fix)] = doctor.check_workdir(str(tmp_path / "file"))
  assert "NotADirectoryError" in text and "another folder" in fix


def test_bucket(tmp_path, monkeypatch):
  """gs:// goes through etils; here to a folder in place of the bucket."""
  from etils import epath

  path = lambda p: pathlib.Path(str(p).replace("gs:/", str(tmp_path)))
  monkeypatch.setattr(epath, "Path", path)
  (tmp_path / "bucket").mkdir()
  assert not broken(doctor.check_workdir("gs://bucket"))
  assert not list((tmp_path / "bucket").iterdir())
  assert "roles/storage" in broken(doctor.check_workdir("gs://no-such"))[0][1]
  # As `import gcsfs` fails if the extra is not installed.
  monkeypatch.undo()
  monkeypatch.setitem(sys.modules, "gcsfs", None)
  [(_, fix)] = doctor.check_workdir("gs://bucket/run")
  assert fix == "pip install -e '.[gcp]'"
