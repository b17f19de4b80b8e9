# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A flag that the mode would not read is refused, with what to use instead."""

import json
import pathlib
import re

from main_test import assert_one_paragraph
import pytest

from threedim_jax.runtime.errors import UserError

REPO = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
  ("args", "fragments"),
  [
    (
      ["--mode=sample", "--num_steps=64"],
      ["--num_steps is for --mode=score", "--config.sampler.num_sample_steps"],
    ),
    (
      ["--mode=evaluate", "--num_views=100"],
      ["--num_views is for --mode=score", "--config.evaluate.num_views=100"],
    ),
    (["--mode=score", "--image=a.png"], ["--image is for --mode=sample"]),
    (
      ["--mode=check_data", "--samples=x"],
      ["--samples is for", "score or mesh"],
    ),
    (["--mode=train", "--samples=x"], ["--samples is for", "not for train"]),
    (["--pretrained=shapes32"], ["--config.train.init_from=shapes32"]),
    (
      ["--mode=score", "--samples=x", "--size=64"],
      ["--size is for --views, which is missing"],
    ),
    (["--mode=mesh", "--dry_run"], ["--dry_run is for --mode=train"]),
    (["--devices=8"], ["--devices is for --dry_run, which is missing"]),
    (["--nodry_run", "--devices=8"], ["--devices is for --dry_run"]),
  ],
)
def test_a_flag_of_another_mode(run_main, tmp_path, args, fragments):
  workdir = tmp_path / "w"
  assert_one_paragraph(run_main(*args, f"--workdir={workdir}"), *fragments)
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


def test_the_table_names_keys_that_exist(debug_config):
  from flax.traverse_util import flatten_dict

  from threedim_jax.modes.command_line import FLAGS, MODES

  keys = flatten_dict(debug_config.to_dict(), sep=".")
  names = {flag.name for flag in FLAGS}
  for flag in FLAGS:
    assert set(flag.modes) <= set(MODES)
    assert flag.needs is None or flag.needs in names
    for mode, key in flag.instead.items():
      assert mode in set(MODES) - set(flag.modes)
      assert key.replace(",", "=").partition("=")[0] in keys


def test_help_shows_every_flag_under_its_modes(run_main):
  from threedim_jax.modes.command_line import FLAGS, MODES

  code, out, _ = run_main("--help")
  assert code == 0
  assert all(len(line) <= 80 or "example:" in line for line in out.splitlines())
  for mode, (summary, example) in MODES.items():
    (part,) = re.findall(rf"^{mode}: (.*?)(?=^\S)", out, re.M | re.S)
    assert summary.split(".")[0] in part and example in part
    shown = set(re.findall(r"^  --(\w+)", part, re.M))
    assert shown == {flag.name for flag in FLAGS if mode in flag.modes}
  assert "absl" not in out


@pytest.fixture
def parsed(monkeypatch):
  """parsed("sample", "--a=b") -> (mode, config, args), from another folder."""
  from absl import flags
  from absl.testing import flagsaver

  from threedim_jax.modes import command_line

  def parse(*words):
    with flagsaver.flagsaver():
      flags.FLAGS.unparse_flags()
      try:
        return command_line.parse(["main", *words])
      finally:
        flags.FLAGS.mark_as_parsed()

  return parse


def test_bundled_weights_bring_their_configuration(
  parsed, tmp_path, monkeypatch
):
  from threedim_jax.models.pretrained import SHA256, describe

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


def test_paths_expand_the_home_directory(parsed, monkeypatch, tmp_path):
  monkeypatch.setenv("HOME", str(tmp_path))
  _, config, args = parsed(
    "--config=configs/shapes.py",
    "--workdir=~/run",
    "--config.data.data_dir=~/data",
  )
  assert args.workdir == str(tmp_path / "run")
  assert config.data.data_dir == str(tmp_path / "data")
