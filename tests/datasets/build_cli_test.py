# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""datasets/build.py: messages, interrupted builds, and what it leaves alone."""

import fcntl
import json
import os
import pathlib
import subprocess
import sys
import time

import build
import pytest
import tensorflow_datasets as tfds

from threedim_jax.runtime.errors import UserError

REPO = pathlib.Path(__file__).parents[2]
HUGE = ["--num_train_objects", "100000"]
TINY = ["--num_train_objects", "2", "--num_test_objects", "1"]


def build_debug(data_dir, *more: str) -> pathlib.Path:
  args = f"shapes --config debug --num_workers 1 --data_dir {data_dir}"
  return build.main([*args.split(), *TINY, *more])


def mtimes(folder: pathlib.Path) -> dict[str, int]:
  return {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}


@pytest.mark.parametrize(
  "args, message",
  [
    ("shape", "no data set 'shape'.* Did you mean 'shapes'"),
    ("shapes --config quikstart", "Did you mean 'quickstart'"),
    ("srn --config car_64", "cars_64, .*Did you mean 'cars_64'"),
    ("srn --config cars --seed 3", "--seed is for shapes"),
    ("shapes --from {tmp}", "--from is for meshes, not for shapes"),
    ("shapes --least_scale 0.5", "--least_scale is for meshes, not for shapes"),
    ("meshes --from {tmp} --seed 3", "--seed is for shapes, not for meshes"),
    ("meshes --from {tmp} --manual_dir {tmp}", "--manual_dir is for srn"),
    ("meshes", "meshes needs --from=PATH"),
    ("meshes --from {tmp}/no", "/no is neither a folder nor a zip file"),
    ("meshes --from {tmp} --up z --front -z", "holds no mesh"),
    ("meshes --from {tmp}", "holds no mesh: put files in there"),
    ("meshes --from {tmp} --name a/b", "--name is 'a/b': choose one of"),
    ("meshes --from {tmp} --radius 1.5", "radius is 1.5, .* from 1.88 on"),
    ("meshes --from {tmp} --radius nan", "radius is nan"),
    ("meshes --from {tmp} --config 46", "Did you mean '64'"),
    ("shapes --num_train_views 1", "num_train_views is 1, .* at least 2"),
    ("shapes --num_test_objects 0", "num_test_objects is 0, .* at least 1"),
    ("shapes --seed -1", "seed is -1, .* at least 0"),
    ("shapes --data_dir gs://bucket/data", "not a local path"),
    ("shapes --num_workers 0", "num_workers is 0"),
    (
      "srn --config cars --data_dir {tmp}",
      "no srn_cars.zip .*downloads/manual",
    ),
  ],
)
def test_bad_arguments(tmp_path, monkeypatch, args, message):
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
  with pytest.raises(UserError, match=message):
    build.main(args.format(tmp=tmp_path).split())


def test_how_long_a_build_takes_is_said(tmp_path, announced):
  """Of all splits together; the first object starts the clock."""
  build_debug(tmp_path)
  (line,) = announced("shapes: render views")
  # 2 train objects x 4 views, 2 validation x 6, 1 test x 6; 4 + 4 are done.
  assert " more, 18 views at " in line


def test_a_complete_data_set_is_left_alone(tmp_path, capsys):
  folder = build_debug(tmp_path)
  before = mtimes(folder)
  assert build_debug(tmp_path) == folder
  assert mtimes(folder) == before
  assert f"already built at {folder}" in capsys.readouterr().out


def test_other_settings_are_not_passed_off_as_built(tmp_path):
  folder = build_debug(tmp_path)
  with pytest.raises(
    UserError, match="seed is 0 there and 5 here.*--overwrite"
  ):
    build_debug(tmp_path, "--seed", "5")
  record = lambda: tfds.builder_from_directory(folder).as_data_source("train")[
    0
  ]
  before = record()["image"]
  build_debug(tmp_path, "--seed", "5", "--overwrite")
  assert (record()["image"] != before).any()
  metadata = json.loads((folder / "metadata.json").read_text())
  assert metadata["seed"] == 5 and "seed" in metadata["overridden"]


def test_an_error_on_the_way_leaves_nothing(tmp_path, monkeypatch, capsys):
  import record_writer

  from threedim_jax.runtime import progress

  write, calls = record_writer.RecordWriter.write, []

  def interrupted(self, record):
    calls.append(record)
    if len(calls) > 10:
      raise KeyboardInterrupt
    write(self, record)

  monkeypatch.setattr(record_writer.RecordWriter, "write", interrupted)
  monkeypatch.setattr(progress, "LOG_SECONDS", 0.01)
  # Its traceback holds what the build was in the middle of.
  with pytest.raises(KeyboardInterrupt) as error:
    build_debug(tmp_path)
  assert not list((tmp_path / "shapes/debug").glob("1.0.0*"))
  assert "render views" in capsys.readouterr().err
  time.sleep(0.1)
  assert capsys.readouterr().err == ""  # its progress bar has ended, too
  del error


@pytest.mark.parametrize("killed", [False, True])
def test_a_failed_overwrite_keeps_the_old_data_set(
  tmp_path, monkeypatch, killed
):
  import prepare
  import record_writer

  folder = build_debug(tmp_path)
  before = {p.name: p.read_bytes() for p in folder.iterdir()}

  def fail(self, record):
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(record_writer.RecordWriter, "write", fail)
    if killed:  # nothing is cleaned up then
      patch.setattr(prepare, "_restore", lambda folder: None)
    with pytest.raises(KeyboardInterrupt):
      build_debug(tmp_path, "--seed", "5", "--overwrite")
  assert folder.exists() != killed
  build_debug(tmp_path)  # complete
  assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
  build_debug(tmp_path, "--seed", "5", "--overwrite")
  assert {p.name: p.read_bytes() for p in folder.iterdir()} != before
  assert {p.name for p in folder.parent.iterdir()} == {"1.0.0", ".1.0.0.lock"}


def test_two_builds_at_once(tmp_path):
  folder = build_debug(tmp_path)
  with open(folder.parent / ".1.0.0.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(UserError, match="another process is building"):
      build_debug(tmp_path, "--overwrite")


def test_many_views_make_several_files(tmp_path, monkeypatch):
  one = tfds.builder_from_directory(build_debug(tmp_path / "one"))
  monkeypatch.setattr("record_writer._VIEWS_PER_SHARD", 3)
  many = tfds.builder_from_directory(build_debug(tmp_path / "many"))
  assert many.info.splits["train"].shard_lengths == [3, 3, 2]
  views = [[v for v in b.as_data_source("train")] for b in (one, many)]
  for a, b in zip(*views, strict=True):
    assert (a["image"] == b["image"]).all() and a["view"] == b["view"]


def run_build(data_dir, *args: str) -> subprocess.Popen:
  return subprocess.Popen(
    [sys.executable, REPO / "datasets" / "build.py", *args],
    env=os.environ | {"PYTHONPATH": str(REPO), "TFDS_DATA_DIR": str(data_dir)},
    cwd=data_dir,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def test_the_command_line_after_a_killed_build(tmp_path):
  place = tmp_path / "shapes" / "debug"
  killed = run_build(tmp_path, "shapes", "--config", "debug", *HUGE)
  while not list(place.glob("*/*array_record*")):
    assert killed.poll() is None, killed.communicate()
    time.sleep(0.05)
  killed.kill()
  killed.communicate(timeout=60)  # its workers hold the pipes: they end too
  assert not list(place.glob("*/objects.json"))
  assert len(list(place.glob("*1.0.0"))) == 1

  good = run_build(tmp_path, "shapes", "--config", "debug", *TINY)
  out, err = good.communicate()
  assert good.returncode == 0, err
  first, second = out.splitlines()
  assert first == f"built {place / '1.0.0'}"
  assert second.startswith("train 2 objects (8 views), validation 2 objects")
  # Nothing but our own progress: no noise of libraries.
  assert err and all(s.startswith("shapes: ") for s in err.splitlines()), err
  assert [p.name for p in place.glob("*1.0.0")] == ["1.0.0"]

  # The same bytes come from another process, where hashes differ.
  folder = build_debug(tmp_path / "again")
  for path in folder.iterdir():
    assert path.read_bytes() == (place / "1.0.0" / path.name).read_bytes()


def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path):
  bad = run_build(tmp_path, "shops")
  out, err = bad.communicate()
  assert bad.returncode == 2 and out == ""
  assert err == (
    "error: no data set 'shops'; there are shapes, srn, meshes."
    " Did you mean 'shapes'?\n"
  )
