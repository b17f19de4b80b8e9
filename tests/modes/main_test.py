# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What `main` does with data, weights, pictures and folders, good and bad.

command_line_test.py has the refused flags.
"""

import errno
import os
import pathlib
import sys

from fake_run import fake_sample
import jax
import numpy as np
from PIL import Image
import pytest
from run_mode import assert_refused
import tiny_dataset

from threedim_jax import main
from threedim_jax.modes.command_line import MODES
from threedim_jax.runtime.errors import UserError
from threedim_jax.viewing.viewer import view_angles
from threedim_jax.workdir.samples import write_sample

REPO = pathlib.Path(__file__).parents[2]


def test_data_that_does_not_fit_is_refused(run_main, tmp_path, tiny_data):
  """Missing, of another resolution, or partly built; no workdir is made."""
  args, folder = tiny_data
  start = lambda *args: run_main(f"--workdir={tmp_path / 'w'}", *args)
  command = "python datasets/build.py shapes --config debug --data_dir"
  nowhere = f"--config.data.data_dir={tmp_path}"
  assert_refused(start(nowhere), command)
  sample = start(nowhere, "--mode=sample", "--pretrained=shapes32")
  assert_refused(sample, command, "or name a picture with --image=FILE")
  other = "--config.data.resolution=32"
  assert_refused(start(*args, other), "16", "32")
  (folder / "objects.json").unlink()
  assert_refused(start(*args), "partly built", "datasets/build.py")
  assert not (tmp_path / "w").exists()


@pytest.fixture
def pictures_32(tmp_path):
  """Arguments of shapes_tiny on made-up pictures, two short views."""
  root = tmp_path / "data32"
  folder = tiny_dataset.write_tiny_dataset(root, 1, 4, 32)
  return (
    f"--config.data.data_dir={root}",
    "--config.data.name=tiny",
    f"--config.data.config={folder.parent.name}",
    "--config.sampler.num_sample_steps=2",
    "--config.sample.num_objects=1",
    "--config.sample.num_views=2",
  )


def test_weights_that_ship_sample_without_training(
  run_main, tmp_path, pictures_32
):
  from threedim_jax.workdir import samples

  config, workdir = str(REPO / "configs/shapes_tiny.py"), tmp_path / "w"
  args = (f"--workdir={workdir}", "--mode=sample", *pictures_32)
  result = run_main(*args, "--pretrained=shapes33", config=config)
  assert_refused(result, "'shapes33'", "shapes32")
  result = run_main(*args, config=config)
  assert_refused(result, "no trained model", "--pretrained=shapes64")
  code, _, err = run_main(*args, "--pretrained=shapes32", config=config)
  assert code == 0, err
  (folder,) = samples.list_complete(workdir / "samples")
  sampled = samples.read_sample(folder)
  assert sampled.info["pretrained"] == "shapes32"
  assert sampled.generated.images_u8.shape == (2, 32, 32, 3)
  assert (workdir / "report.html").exists()


def test_views_of_an_own_picture(run_main, tmp_path):
  from threedim_jax.workdir import samples

  picture = np.full((90, 60, 3), 255, np.uint8)
  picture[20:60, 10:30] = (0, 90, 200)
  file, workdir = tmp_path / "lamp.png", tmp_path / "w"
  args = (
    f"--workdir={workdir}",
    "--mode=sample",
    "--pretrained=shapes32",
    f"--image={file}",
    "--azimuth=40",
    "--config.sampler.num_sample_steps=2",
    "--config.sample.num_views=2",
  )
  config = str(REPO / "configs/shapes_tiny.py")
  assert_refused(run_main(*args, config=config), "no picture", "lamp.png")
  assert not workdir.exists(), "nothing is written for a wrong picture"
  Image.fromarray(picture).save(file)
  code, out, err = run_main(*args, config=config)
  assert code == 0, err
  sampled = samples.read_sample(workdir / "samples" / "lamp")
  assert sampled.generated.images_u8.shape == (2, 32, 32, 3)
  assert sampled.truth is None
  azimuth, _ = view_angles(sampled.generated.world_from_cam)
  np.testing.assert_allclose(azimuth, [160, -80], atol=1e-3)
  assert (workdir / "samples" / "lamp" / "viewer.html").exists()
  assert "lamp" in (workdir / "report.html").read_text()


def test_one_of_several_processes_samples_a_picture(
  tmp_path, debug_config, monkeypatch
):
  from threedim_jax.modes import sample
  from threedim_jax.sampling.photo import Photo

  picture = np.full((90, 60, 3), 255, np.uint8)
  picture[20:60, 10:30] = (0, 90, 200)
  Image.fromarray(picture).save(tmp_path / "lamp.png")
  sampled, waited = [], []
  monkeypatch.setattr(sample, "load_sampler", lambda *_, **__: None)
  monkeypatch.setattr(
    sample, "generate", lambda _, share, *__, **___: sampled.extend(share) or []
  )
  monkeypatch.setattr(sample, "wait_for_all", waited.append)
  monkeypatch.setattr(jax, "process_count", lambda: 2)
  for process in (0, 1):
    monkeypatch.setattr(jax, "process_index", lambda: process)  # noqa: B023
    photo = Photo(str(tmp_path / "lamp.png"))
    folder = sample.sample_photo(debug_config, tmp_path, photo)
    assert folder == tmp_path / "samples" / "lamp"
  assert [request.object_id for request in sampled] == ["lamp"]
  assert len(waited) == 2


def test_full_disk_is_a_sentence(run_main, tmp_path, tiny_data, monkeypatch):
  """Before training starts, and when a write fails in the middle of it."""
  import shutil

  from threedim_jax.modes import train

  args, _ = tiny_data
  workdir = tmp_path / "w"
  with monkeypatch.context() as patch:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    patch.setattr(shutil, "disk_usage", lambda path: usage)
    result = run_main(f"--workdir={workdir}", *args)
    assert_refused(result, "not enough disk space for checkpoints")

  def full(config, workdir):
    raise RuntimeError("writer failed") from OSError(errno.ENOSPC, "full")

  monkeypatch.setattr(train, "train_and_evaluate", full)
  result = run_main(f"--workdir={workdir}", *args)
  assert_refused(result, str(workdir), "is full")


def test_ctrl_c_is_a_line(run_main, tmp_path, tiny_data, monkeypatch):
  """The process ends at once: compiling threads would crash a slow exit."""
  from threedim_jax.modes import train

  def interrupt(config, workdir):
    raise KeyboardInterrupt

  monkeypatch.setattr(train, "train_and_evaluate", interrupt)
  monkeypatch.setattr(os, "_exit", sys.exit)
  code, _, err = run_main(f"--workdir={tmp_path / 'w'}", *tiny_data[0])
  assert code == 130
  assert "Traceback" not in err
  assert "interrupted: run the same command again" in err.splitlines()[-1]


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


@pytest.mark.parametrize("mode", [*MODES])
def test_a_workdir_that_cannot_be_written_to(
  run_main, mode_args, tmp_path, monkeypatch, mode
):
  """Refused before the mode starts, which may take hours."""
  file, loop = tmp_path / "notes.txt", tmp_path / "loop"
  file.write_text("kept")
  loop.symlink_to(loop)
  monkeypatch.setattr(main, "call_mode", lambda *_: pytest.fail("too late"))
  for workdir, words in (
    (file, "Not a directory"),
    (file / "w", "Not a directory"),
    (loop / "w", "symbolic links"),
    (tmp_path / ("w" * 300), "name too long"),
    ("/proc/threedim_jax/w", "No such file"),
  ):
    result = run_main(
      f"--mode={mode}", f"--workdir={workdir}", *mode_args.get(mode, [])
    )
    assert_refused(result, f"{workdir} cannot be used", words, "--workdir")
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
  assert_refused(run_main(*args), str(workdir), words)


def test_an_input_that_cannot_be_read_is_not_the_workdir(
  run_main, mode_args, tmp_path, monkeypatch
):
  def refuse(*_):
    raise PermissionError(errno.EACCES, "Permission denied", "/data/shapes")

  monkeypatch.setattr(main, "call_mode", refuse)
  result = run_main("--mode=mesh", f"--workdir={tmp_path}", *mode_args["mesh"])
  assert_refused(result, "/data/shapes cannot be read", "Permission denied")
  assert "--workdir" not in result[2]


@pytest.mark.parametrize(
  "folder, code, path, message",
  [
    ("views", errno.EEXIST, "views_check", "views_check cannot be used"),
    ("views", errno.EROFS, "views_check", "views_check cannot be used"),
    (
      "../w",
      errno.EACCES,
      "../w/checkpoints/5",
      "checkpoints/5 cannot be used",
    ),
    ("views", errno.EACCES, "views/rgb/0.png", "rgb/0.png cannot be used"),
    ("gs://b/w", errno.EACCES, None, "gs://b/w cannot be used"),
    ("gs://b/w", errno.EACCES, "/data/shapes", "/data/shapes cannot be read"),
    (None, errno.EACCES, "notes.txt", "notes.txt cannot be used"),
  ],
)
def test_whether_a_path_is_read_or_written(
  tmp_path, monkeypatch, folder, code, path, message
):
  monkeypatch.chdir(tmp_path)
  path = path and (path if path[0] == "/" else os.path.abspath(path))
  with (
    pytest.raises(UserError, match=message),
    main.explain_disk_errors(folder),
  ):
    raise OSError(code, os.strerror(code), path)


def test_a_dry_run_for_a_slice_checks_its_folder_first(run_main, monkeypatch):
  monkeypatch.setattr(main, "call_mode", lambda *_: pytest.fail("too late"))
  args = ("--dry_run", "--topology=v5e:2x2", "--workdir=/proc/w")
  assert_refused(run_main(*args), "/proc/w cannot be used")
