# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""doctor.py finds what is wrong, says the fix, and leaves nothing behind."""

import collections
import os
import pathlib
import re
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(REPO / "launch"))

import doctor  # noqa: E402
import env_flags  # noqa: E402

ENV_FILES = sorted((REPO / "launch/env").glob("*.env"))


def broken(findings: list[doctor.Finding]) -> list[doctor.Finding]:
  return [finding for finding in findings if finding.fix]


def run(*args, **env) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, REPO / "launch/doctor.py", *map(str, args)],
    capture_output=True, text=True, env={**os.environ, "XLA_FLAGS": "", **env},
  )  # fmt: skip


def test_this_machine_is_examined(tmp_path):
  """All checks, in a process of its own, as people call it."""
  result = run(f"--workdir={tmp_path / 'new/run'}")
  assert result.returncode in (0, 2), result.stderr
  # What this machine lacks is its own affair, but the fix must be said.
  fixes = result.stdout.count("\n     -> ")
  assert (result.returncode == 2) == (fixes > 0)
  for name in ("python", "versions", "flags", "devices", "memory", "shm",
               "limits", "workdir"):  # fmt: skip
    assert re.search(rf"^(ok  |FIX ) {name}: ", result.stdout, re.M)
  assert re.search(r"^ok   devices: \d+ x cpu", result.stdout, re.M)
  assert not list(tmp_path.iterdir())


def test_unknown_flags_of_this_shell_are_named(monkeypatch):
  flags = "--xla_no_such=1 --xla_tpu_foo=2 --xla_cpu_enable_fast_math=false"
  monkeypatch.setenv("XLA_FLAGS", flags)
  found = broken(doctor.check_flags())
  assert [f.text.split()[-1] for f in found] == flags.split()[:2]
  assert "remove it from XLA_FLAGS" in found[0].fix
  assert "LIBTPU_INIT_ARGS" in found[1].fix


def test_flags_of_a_file_are_named_with_the_file(tmp_path, monkeypatch):
  monkeypatch.delenv("XLA_FLAGS")
  (tmp_path / "x.env").write_text("# try: XLA_FLAGS=--xla_no_such=1\n")
  [found] = broken(doctor.check_flags(tmp_path))
  assert str(tmp_path / "x.env") in found.fix
  (tmp_path / "x.env").write_text("XLA_FLAGS = --a\n")
  [found] = broken(doctor.check_flags(tmp_path))
  assert "line 1" in found.text


def test_a_process_that_xla_ends_is_reported(monkeypatch):
  monkeypatch.setenv("XLA_FLAGS", "--xla_no_such=1")
  [found] = doctor.check_devices()
  assert "--xla_no_such=1" in found.text and found.fix


def test_an_accelerator_that_jax_does_not_use(monkeypatch):
  monkeypatch.setattr(doctor, "accelerator_here", lambda: "gpu")
  reply = '{"platform": "cpu", "kind": "cpu", "count": 1, "memory": 0}'
  done = subprocess.CompletedProcess([], 0, reply + "\n", "")
  monkeypatch.setattr(doctor.subprocess, "run", lambda *a, **k: done)
  [found] = doctor.check_devices()
  assert "pip install -e '.[gpu]'" in found.fix


def test_devices_that_do_not_answer(monkeypatch):
  def hang(*args, timeout, **kwargs):
    raise subprocess.TimeoutExpired(args, timeout)

  monkeypatch.setattr(doctor.subprocess, "run", hang)
  [found] = doctor.check_devices()
  assert "another process" in found.fix


def test_versions(monkeypatch):
  wanted = ["numpy>=99", "no-such-package>=1", "pytest>=1"]
  monkeypatch.setattr(doctor, "requirements", lambda: wanted)
  found = broken(doctor.check_versions())
  assert [f.fix for f in found] == [
    "pip install 'numpy>=99'",
    "pip install 'no-such-package>=1'",
  ]


def test_requirements_are_those_of_setup_py():
  assert any(text.startswith("jax>=") for text in doctor.requirements())


@pytest.mark.parametrize("free", [64 * 2**20, 8 * 2**30])
def test_shared_memory_of_a_container(free, monkeypatch):
  usage = collections.namedtuple("usage", "total used free")
  monkeypatch.setattr(
    doctor.shutil, "disk_usage", lambda p: usage(free, 0, free)
  )
  [found] = doctor.check_shm("/")
  assert bool(found.fix) == (free < doctor.MIN_SHM)


def test_shared_memory_that_is_not_there():
  assert broken(doctor.check_shm("/no/such/shm"))


def test_limits(monkeypatch):
  limits = {
    doctor.resource.RLIMIT_NOFILE: (1024, 4096),
    doctor.resource.RLIMIT_AS: (2**30, 2**30),
  }
  monkeypatch.setattr(doctor.resource, "getrlimit", limits.__getitem__)
  files, memory = broken(doctor.check_limits())
  assert files.fix.startswith("ulimit -n")
  assert "1.0 GiB" in memory.text


def test_workdir_that_is_a_file(tmp_path):
  (tmp_path / "file").write_text("")
  [found] = doctor.check_workdir(str(tmp_path / "file"))
  assert "NotADirectoryError" in found.text and found.fix


def test_bucket_probe(tmp_path, monkeypatch):
  """gs:// goes through etils; here to a folder in place of the bucket."""
  from etils import epath

  monkeypatch.setattr(
    epath, "Path", lambda p: pathlib.Path(str(p).replace("gs:/", str(tmp_path)))
  )
  (tmp_path / "bucket").mkdir()
  [found] = doctor.check_workdir("gs://bucket")
  assert not found.fix, found
  assert not list((tmp_path / "bucket").iterdir())
  [found] = doctor.check_workdir("gs://no-such-bucket")
  assert "roles/storage" in found.fix


def test_bucket_without_its_client(monkeypatch):
  """As `import gcsfs` fails where the extra is not installed."""
  monkeypatch.setitem(sys.modules, "gcsfs", None)
  [found] = doctor.check_workdir("gs://bucket/run")
  assert found.fix == "pip install -e '.[gcp]'", found


@pytest.mark.parametrize("path", ENV_FILES, ids=lambda p: p.name)
def test_env_files_give_every_line_a_reason(path):
  """Each block of settings follows a comment that names what it is for."""
  assert env_flags.read_settings(path, candidates=True)
  blocks = path.read_text().split("\n\n")
  for block in blocks:
    settings = re.findall(r"^(?:# try: )?[A-Z][A-Z_]*=", block, re.M)
    if settings:
      comment = block[: block.index(settings[0])]
      assert re.search(r"jaxlib|glibc \d", comment), block


def test_flags_of_env_files_are_known_to_this_jaxlib():
  """Those that are off as well; unknown ones would end a process."""
  flags = []
  for path in ENV_FILES:
    settings = env_flags.read_settings(path, candidates=True)
    for flag in settings.get("XLA_FLAGS", []):
      assert "xla_tpu" not in flag, "belongs in LIBTPU_INIT_ARGS"
      flags.append(flag)
  unknown = env_flags.unknown_flags(" ".join(flags))
  # Chosen on this release; later ones may drop them, and the launchers do.
  from importlib import metadata

  assert not unknown or not metadata.version("jaxlib").startswith("0.10.")


def test_only_env_files_set_flags():
  """No launcher, image or manifest sets a variable of XLA, libtpu or NCCL."""
  for path in (REPO / "launch").rglob("*"):
    if path.suffix not in (".sh", ".sbatch", ".yaml", ".gpu", ".tpu"):
      continue
    text = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.M)
    assert not re.search(r"(XLA_|LIBTPU|NCCL_)\w*[=:]", text), path


def test_tpu_defaults_are_empty_and_gpu_has_no_xla_flag():
  read = env_flags.read_settings
  assert read(REPO / "launch/env/tpu.env") == {}
  assert "XLA_FLAGS" not in read(REPO / "launch/env/gpu.env")
