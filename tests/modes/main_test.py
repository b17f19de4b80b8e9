# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command line: bad input ends in one sentence and exit code 2."""

import errno
import pathlib

import numpy as np
from PIL import Image
import pytest
import tiny_dataset

from threedim_jax.viewing.viewer import view_angles

REPO = pathlib.Path(__file__).parents[2]
CONFIG = REPO / "configs/srn_chairs.py"


def assert_one_paragraph(result, *fragments: str) -> None:
  code, _, err = result
  assert code == 2, err
  assert "Traceback" not in err
  (line,) = [s for s in err.splitlines() if s.startswith("error: ")]
  for fragment in fragments:
    assert fragment in line


@pytest.mark.parametrize(
  ("args", "fragments"),
  [
    (["--mode=trian"], ["trian", "train"]),
    ([], ["--workdir is missing"]),
    (["--config.data.resolution=17"], ["resolution", "16", "18"]),
    (["--config.sampler.conditioning=newest"], ["conditioning", "stochastic"]),
    (["--config.sampler.solver=heun"], ["sampler.solver", "dpmpp_2m"]),
    (["--config.sampler.guidance_interval=(3.0,)"], ["guidance_interval"]),
    (["--config.sampler.guidance_interval=('a','b')"], ["guidance_interval"]),
    (["--config.sampler.guidance_interval=(2.0,1.0)"], ["guidance_interval"]),
    (["--config.diffusion.prediction=x0"], ["prediction", "'eps', 'v'"]),
    (["--config.model.dtype=float16"], ["model.dtype", "bfloat16"]),
    (["--config.train.batch_size=0"], ["train.batch_size=0"]),
    (["--config.sample.num_views=0"], ["sample.num_views=0"]),
    (["--config.diffusion.uncond_fraction=1.0"], ["uncond_fraction"]),
    (["--config.model.ch=50"], ["model.ch=50", "norm_groups="]),
    (["--config.model.norm_groups=0"], ["norm_groups=0"]),
    (["--config.evaluate.input_view=-1"], ["evaluate.input_view=-1"]),
    (["--config.model.attn_heads=5"], ["attn_heads=5"]),
    (["--config.model.ch_mult=()"], ["model.ch_mult"]),
    (["--config.model.ch_mult=(1,0)"], ["model.ch_mult=(1, 0)"]),
    (["--config.model.dropout=10.0"], ["model.dropout=10.0", "below 1"]),
    (["--config.model.dropout=-0.1"], ["model.dropout=-0.1"]),
    (["--config.model.emb_ch=3"], ["model.emb_ch=3", "4"]),
    (["--config.sample.objects=(1,)"], ["sample.objects"]),
    (["--config.evaluate.num_objects=0"], ["evaluate.num_objects=0"]),
    (["--config.evaluate.num_views=-1"], ["evaluate.num_views=-1"]),
    (["--config.data.num_threads=-1"], ["data.num_threads=-1"]),
    (["--config.optim.learning_rate=inf"], ["learning_rate=inf", "finite"]),
    (["--config.sampler.guidance_interval=(-1e999,2.0)"], ["finite"]),
    (["--config.train.num_examples=1" + "0" * 30], ["at most 64 bits"]),
    (["--config.model.emb_ch=1" + "0" * 9], ["at most 65536"]),
    (["--config.model.num_res_blocks=101"], ["at most 100"]),
    (["--config.data.resolution=16384"], ["at most 8192"]),
    (["--config.=3"], ["unknown key --config."]),
    (["--a" + "b" * 3000 + "=1"], ["too long", "--abbb"]),
    (["--config.model.ch_mult=" + "(8," * 999], ["too long", "ch_mult=(8"]),
    (["--workdir=/dev/null"], ["/dev/null is a file"]),
    (
      "--workdir=w --mode=sample --image=a.png --elevation=95"
      " --pretrained=shapes32".split(),
      ["--elevation=95"],
    ),
  ],
)
def test_wrong_flags(run_main, args, fragments):
  assert_one_paragraph(run_main(*args), *fragments)


def test_data_that_does_not_fit_is_refused(run_main, tmp_path, tiny_data):
  """Missing, of another resolution, or partly built; no workdir is made."""
  args, folder = tiny_data
  start = lambda *args: run_main(f"--workdir={tmp_path / 'w'}", *args)
  command = "python datasets/build.py shapes --config debug --data_dir"
  assert_one_paragraph(start(f"--config.data.data_dir={tmp_path}"), command)
  other = "--config.data.resolution=32"
  assert_one_paragraph(start(*args, other), "16", "32")
  (folder / "objects.json").unlink()
  assert_one_paragraph(start(*args), "partly built", "datasets/build.py")
  assert not (tmp_path / "w").exists()


def test_workdir_of_another_configuration(run_main, tmp_path, tiny_data):
  from configs import srn_chairs
  from threedim_jax.workdir.config_file import check_workdir

  args, _ = tiny_data
  config = srn_chairs.get_config("debug")
  config.model.ch = 64
  workdir = tmp_path / "w"
  check_workdir(workdir, config.to_dict(), write=True)
  before = (workdir / "config.json").read_text()
  result = run_main(f"--workdir={workdir}", *args)
  assert_one_paragraph(result, "model.ch", "64", "32")
  assert (workdir / "config.json").read_text() == before


@pytest.fixture
def pictures_32(tmp_path):
  """Arguments of the quickstart on made-up pictures, two short views."""
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

  config, workdir = str(REPO / "configs/quickstart.py"), tmp_path / "w"
  args = (f"--workdir={workdir}", "--mode=sample", *pictures_32)
  result = run_main(*args, "--pretrained=shapes33", config=config)
  assert_one_paragraph(result, "'shapes33'", "shapes32")
  result = run_main(*args, config=config)
  assert_one_paragraph(result, "no trained model", "--pretrained=shapes64")
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
  config = str(REPO / "configs/quickstart.py")
  assert_one_paragraph(run_main(*args, config=config), "no picture", "lamp.png")
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
    assert_one_paragraph(result, "not enough disk space for checkpoints")

  def full(config, workdir):
    raise RuntimeError("writer failed") from OSError(errno.ENOSPC, "full")

  monkeypatch.setattr(train, "train_and_evaluate", full)
  result = run_main(f"--workdir={workdir}", *args)
  assert_one_paragraph(result, str(workdir), "is full")


def test_dry_run_counts_the_quickstart_model(run_main):
  _, out, _ = run_main("--dry_run", config=str(REPO / "configs/quickstart.py"))
  assert "1,683,907" in out
