# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Flags: what is refused, what --help shows, which configuration they give."""

import json
import os
import pathlib
import re

from absl import flags
from absl.testing import flagsaver
from flax.traverse_util import flatten_dict
import pytest
from run_mode import assert_refused

from threedim_jax.models.pretrained import SHA256, describe
from threedim_jax.modes import command_line
from threedim_jax.modes.command_line import FLAGS, MODES
from threedim_jax.runtime.errors import UserError

REPO = pathlib.Path(__file__).parents[2]


# Command lines, and words of the one sentence that answers each.
REFUSED = [
  ("--mode=trian", "trian", "train"),
  ("", "--workdir is missing"),
  ("--workdir=/dev/null", "/dev/null cannot be used (Not a directory)"),
  ("w", "unexpected argument 'w'", "--help"),
  ("--workdi=w", "workdi", "workdir", "--help"),
  ("--config.optim.b11=1", "optim.b11", "'optim.b1'"),
  ("--config.b1=1", "unknown key --config.b1", "'optim.b1'"),
  ("--config.optim.lrr=1", "optim has: optim.b1, optim.b2"),
  ("--config.optim.batch_size=1", "'train.batch_size'"),
  ("--config.zzz=1", "zzz", "choose from: data.config, "),
  ("--config.train.batch_size=abc", "train.batch_size=abc", "int", "4"),
  ("--config.evaluate.num_objects=x", "evaluate.num_objects=x", "int"),
  ("--config.model.ch_mult=1,b", "model.ch_mult", "int", "(1, 2)"),
  ("--config.optim=3", "config.optim=3", "not a dict"),
  ("--config.data.resolution=17", "resolution", "16", "18"),
  ("--config.data.num_threads=-1", "data.num_threads=-1"),
  ("--config.sampler.conditioning=newest", "conditioning", "stochastic"),
  ("--config.sampler.solver=heun", "sampler.solver", "dpmpp_2m"),
  ("--config.sampler.guidance_interval=(3.0,)", "guidance_interval"),
  ("--config.sampler.guidance_interval=('a','b')", "guidance_interval"),
  ("--config.sampler.guidance_interval=(2.0,1.0)", "guidance_interval"),
  ("--config.diffusion.prediction=x0", "prediction", "'eps', 'v'"),
  ("--config.diffusion.uncond_fraction=1.0", "uncond_fraction"),
  ("--config.train.batch_size=0", "train.batch_size=0"),
  ("--config.sample.num_views=0", "sample.num_views=0"),
  ("--config.sample.objects=(1,)", "sample.objects"),
  ("--config.evaluate.input_view=-1", "evaluate.input_view=-1"),
  ("--config.optim.learning_rate=inf", "learning_rate=inf", "finite"),
  ("--config.sampler.guidance_interval=(-1e999,2.0)", "finite"),
  ("--config.train.num_examples=1" + "0" * 30, "at most 64 bits"),
  ("--config.model.emb_ch=1" + "0" * 9, "at most 65536"),
  ("--config.model.num_res_blocks=101", "at most 100"),
  ("--config.data.resolution=16384", "at most 8192"),
  ("--config.=3", "unknown key --config."),
  ("--a" + "b" * 3000 + "=1", "too long", "--abbb"),
  ("--config.model.ch_mult=" + "(8," * 999, "too long", "ch_mult=(8"),
  ("--config.model.cross_attn_resolutions=None", "(None,)", "(8, 16)"),
  ("--config.model.attn_resolutions=(0,)", "attn_resolutions=(0,)"),
  ("--config.optim.b2=1.0", "optim.b2=1.0", "below 1"),
  ("--config.diffusion.uncond_fraction=0.0", "sampler.guidance_weight=0"),
  ("--config.evaluate.num_objects=0", "evaluate.num_objects=0"),
  ("--config.evaluate.num_views=-1", "evaluate.num_views=-1"),
  ("--config.model.dtype=float16", "model.dtype", "bfloat16"),
  ("--config.model.ch=50", "model.ch=50", "norm_groups="),
  ("--config.model.norm_groups=0", "norm_groups=0"),
  ("--config.model.attn_heads=5", "attn_heads=5"),
  ("--config.model.ch_mult=()", "model.ch_mult"),
  ("--config.model.ch_mult=(1,0)", "model.ch_mult=(1, 0)"),
  ("--config.model.dropout=10.0", "model.dropout=10.0", "below 1"),
  ("--config.model.dropout=-0.1", "model.dropout=-0.1"),
  ("--config.model.emb_ch=3", "model.emb_ch=3", "4"),
  # Concat-UNet and regression, the paper's ablations.
  ("--config.model.concat_frames", "cross_attn_resolutions=()"),
  (
    "--config.diffusion.prediction=view --config.sampler.num_sample_steps=2",
    "sampler.num_sample_steps=1",
  ),
  (
    "--config.diffusion.prediction=view --config.sampler.num_sample_steps=1"
    " --config.diffusion.uncond_fraction=0.0"
    " --config.sampler.guidance_weight=0.0"
    " --config.diffusion.min_snr_gamma=5.0",
    "diffusion.min_snr_gamma has no use",
  ),
  # A flag that the mode would not read, and what to use instead.
  (
    "--mode=sample --num_steps=64",
    "--num_steps is for --mode=score",
    "--config.sampler.num_sample_steps",
  ),
  (
    "--mode=evaluate --num_views=100",
    "--num_views is for --mode=score",
    "--config.evaluate.num_views=100",
  ),
  ("--mode=score --image=a.png", "--image is for --mode=sample"),
  ("--mode=check_data --samples=x", "--samples is for", "score or mesh"),
  ("--mode=check_data --views=x", "--config", "--views", "give one of them"),
  ("--mode=train --samples=x", "--samples is for", "not for train"),
  ("--image=a.png --pretrained=shapes32", "add --mode=sample"),
  ("--pretrained=shapes32", "--config.train.init_from=shapes32"),
  (
    "--mode=score --samples=x --size=64",
    "--size is for --views, which is missing",
  ),
  (
    "--mode=sample --image=a.png --elevation=95 --pretrained=shapes32",
    "--elevation=95",
  ),
  ("--mode=mesh --dry_run", "--dry_run is for --mode=train"),
  ("--devices=8", "--devices is for --dry_run, which is missing"),
  ("--nodry_run --devices=8", "--devices is for --dry_run"),
  ("--topology=v5e:4x4", "--dry_run"),
  ("--dry_run --topology=v5e:4x4 --devices=4", "--devices"),
]
REFUSED_CONFIGS = [  # the whole command line
  ("", "--config is missing", "--help"),
  ("--config=configs/srn_chair.py", "'configs/srn_chairs.py'"),
  ("--config nowhere/x.py", "'nowhere/x.py'", "configs/shapes.py"),
  ("--config=configs/shapes.py:debg", "'debg'", "choose from concat"),
  ("--config.seed=1", "--config.seed", "--config=FILE.py"),
  ("--config.seed=1 --config=configs/shapes.py", "--config.seed", "before"),
]


@pytest.mark.parametrize(
  "refused", REFUSED + REFUSED_CONFIGS, ids=lambda refused: refused[0]
)
def test_a_wrong_command_line_is_one_sentence(run_main, tmp_path, refused):
  line, *words = refused
  args, workdir = line.split(), tmp_path / "w"
  if refused in REFUSED_CONFIGS:
    assert_refused(run_main(*args, config=None), *words)
    return
  if line and "--workdir" not in line:
    args.append(f"--workdir={workdir}")
  assert_refused(run_main(*args), *words)
  assert not workdir.exists()


@pytest.mark.parametrize(
  "words, message",
  [
    (["demo"], "no mode 'demo'. The modes are train, .*threedim_jax.demo"),
    (["sample", "--workdir=w"], "--config is missing: .*--pretrained=shapes64"),
  ],
)
def test_the_first_word_is_a_mode(words, message):
  from absl.testing import flagsaver

  from threedim_jax.modes import command_line

  with flagsaver.flagsaver(), pytest.raises(UserError, match=message):
    command_line.parse(["threedim-jax", *words])


@pytest.mark.parametrize(
  "body, message",
  [
    ("return {}", "must return an ml_collections.ConfigDict, not dict"),
    ("c = complete(); del c.optim.name; return c", "optim.name is missing"),
    ("c = complete(); c.model.c = 1; return c", "model.c is unknown"),
    ("return 1 /", "cannot be run: invalid syntax"),
    ("import no_such_package", "cannot be run: No module named"),
  ],
)
def test_a_config_file_of_ones_own_is_checked(parsed, tmp_path, body, message):
  file = tmp_path / "configs" / "mine.py"
  file.parent.mkdir()
  file.write_text(
    "from configs.srn_chairs import get_config as complete\n"
    f"def get_config():\n  {body}\n"
  )
  with pytest.raises(UserError, match=message):
    parsed(f"--config={file}")


def test_the_table_names_keys_that_exist(debug_config):
  keys = flatten_dict(debug_config.to_dict(), sep=".")
  names = {flag.name for flag in FLAGS}
  for flag in FLAGS:
    assert set(flag.modes) <= set(MODES)
    assert flag.needs is None or flag.needs in names
    for mode, key in flag.instead.items():
      assert mode in set(MODES) - set(flag.modes)
      assert key.replace(",", "=").partition("=")[0] in keys


def test_help_shows_every_flag_under_its_modes(run_main):
  code, out, _ = run_main("--help")
  assert code == 0
  assert all(len(line) <= 80 or "example:" in line for line in out.splitlines())
  for mode, (summary, example) in MODES.items():
    (part,) = re.findall(rf"^{mode}: (.*?)(?=^\S)", out, re.M | re.S)
    assert summary.split(".")[0] in part and example in part
    shown = set(re.findall(r"^  --(\w+)", part, re.M)) | {"workdir"}
    assert shown == {flag.name for flag in FLAGS if mode in flag.modes}
    _, alone, _ = run_main(f"--mode={mode}", "--help")
    assert re.findall(r"^(\w+): ", alone, re.M) == ["usage", mode]
    assert part in alone
  assert out.count("--workdir=PATH") == 1
  assert "absl" not in out


@pytest.fixture
def parsed():
  """parsed("sample", "--a=b") -> (mode, config, args), from another folder."""

  def parse(*words):
    with flagsaver.flagsaver():
      flags.FLAGS.unparse_flags()
      try:
        return command_line.parse(["main", *words])
      finally:
        flags.FLAGS.mark_as_parsed()

  return parse


def test_overrides_apply_and_nothing_else_may_change(parsed):
  _, config, _ = parsed(
    "--config=configs/shapes.py:debug",
    "--config.optim.b1=0.5",
    "--config.evaluate.num_objects",
    "7",
    "--config.model.ch_mult=1,2,4",
    "--noconfig.model.use_pos_emb",
    "--config.sampler.guidance_interval=(0,10)",
  )
  assert config.optim.b1 == 0.5
  assert config.evaluate.num_objects == 7
  assert config.model.ch_mult == (1, 2, 4)
  assert not config.model.use_pos_emb
  assert config.sampler.guidance_interval == (0, 10)
  assert config.is_locked


def test_bundled_weights_bring_their_configuration(
  parsed, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  for name in SHA256:
    mode, config, args = parsed(
      "sample", f"--pretrained={name}", "--config.sampler.seed=3"
    )
    assert (mode, args.pretrained, config.sampler.seed) == ("sample", name, 3)
    network = describe(name)
    assert config.data.resolution == network["resolution"]
    assert config.diffusion.prediction == network["prediction"]
    model = json.loads(json.dumps(config.model.to_dict()))
    assert network["model"].items() <= model.items()


@pytest.mark.parametrize("name", ["srn_cars", "shapes", "quickstart"])
def test_configurations_load_from_anywhere(parsed, tmp_path, monkeypatch, name):
  monkeypatch.chdir(tmp_path)
  for file in (f"configs/{name}.py", str(REPO / "configs" / f"{name}.py")):
    _, config, _ = parsed(f"--config={file}:debug")
    assert config.data.config == "debug"


def test_a_bucket_is_no_folder_of_this_machine(parsed, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  args = ("--config=configs/shapes.py", "--workdir=gs://bucket/run")
  workdir = command_line.workdir_of(parsed(*args)[2])
  assert os.fspath(workdir / "checkpoints") == "gs://bucket/run/checkpoints"
  (tmp_path / "a").mkdir()
  here = command_line.workdir_of(parsed(args[0], "--workdir=a/../b")[2])
  assert os.fspath(here) == str(tmp_path / "b")


def test_paths_expand_the_home_directory(parsed, monkeypatch, tmp_path):
  monkeypatch.setenv("HOME", str(tmp_path))
  _, config, args = parsed(
    "--config=configs/shapes.py",
    "--workdir=~/run",
    "--config.data.data_dir=~/data",
  )
  _, _, photo = parsed(
    "sample", "--pretrained=shapes32", "--image=a.png", "--path=~/path.json"
  )
  assert photo.path == str(tmp_path / "path.json")
  assert args.workdir == str(tmp_path / "run")
  assert config.data.data_dir == str(tmp_path / "data")
