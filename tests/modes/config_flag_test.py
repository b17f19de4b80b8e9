# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every wrong configuration ends in one sentence that names key and fix."""

import json
import pathlib
import shutil
import types

from absl import flags
import ml_collections
import pytest

from threedim_jax.modes import config_flag
from threedim_jax.modes.config_values import check_resolution
from threedim_jax.runtime.disk import check_free_space
from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.config_file import check_workdir

pytestmark = pytest.mark.filterwarnings(
  "ignore:the load_module:DeprecationWarning"  # of ml_collections
)

CONFIG_FILE = """
from ml_collections import ConfigDict, config_dict

def get_config(arg=""):
  if arg not in ("", "debug"):
    raise ValueError(f"unknown variant {arg!r}; only 'debug' is known")
  return ConfigDict({
      "seed": 0,
      "model": {"ch": 32, "ch_mult": (1, 2), "use_pos_emb": True},
      "optim": {"learning_rate": 1e-4, "b1": 0.9},
      "train": {"batch_size": 8, "steps": config_dict.placeholder(int)},
  })
"""


@pytest.fixture
def parse(tmp_path, monkeypatch):
  """parse("--a=b", ...) -> the config, in a folder with two config files."""
  monkeypatch.chdir(tmp_path)
  (tmp_path / "configs").mkdir()
  for name in ("srn_chairs.py", "shapes.py"):
    (tmp_path / "configs" / name).write_text(CONFIG_FILE)

  def parse(*args):
    argv = ["main.py", *args]
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
    monkeypatch.setattr("sys.argv", argv)
    holder = ml_collections.config_flags.DEFINE_config_file(
      "config", None, flag_values=flags.FLAGS
    )
    flags.DEFINE_string("workdir", None, "", flag_values=flags.FLAGS)
    config_flag.parse_or_explain(argv)
    return holder.value

  return parse


def test_parse_applies_overrides_and_locks(parse):
  config = parse(
    "--config=configs/shapes.py:debug",
    "--config.optim.b1=0.5",
    "--config.train.steps",
    "7",
    "--config.model.ch_mult=1,2,4",
    "--noconfig.model.use_pos_emb",
  )
  assert config.optim.b1 == 0.5
  assert config.train.steps == 7
  assert config.model.ch_mult == (1, 2, 4)
  assert not config.model.use_pos_emb
  assert config.is_locked


# What follows the flag of a good configuration; words of the sentence.
REFUSED = [
  ("--config.optim.b11=1", "optim.b11", "'optim.b1'"),
  ("--config.b1=1", "unknown key --config.b1", "'optim.b1'"),
  ("--config.optim.lrr=1", "optim has: optim.b1, optim.learning_rate."),
  ("--config.optim.batch_size=1", "'train.batch_size'"),
  ("--config.zzz=1", "zzz", "choose from: model.ch, "),
  ("--config.train.batch_size=abc", "train.batch_size=abc", "int", "8"),
  ("--config.train.steps=x", "train.steps=x", "int"),
  ("--config.model.ch_mult=1,b", "model.ch_mult", "int", "(1, 2)"),
  ("--config.optim=3", "config.optim=3", "not a dict"),
  ("--workdi=w", "workdi", "workdir"),
  ("w", "unexpected argument 'w'"),
]
REFUSED = [(f"--config=configs/srn_chairs.py {a}", *b) for a, *b in REFUSED]
REFUSED += [
  (
    "--config=configs/srn_chair.py",
    "configs/srn_chair.py",
    "'configs/srn_chairs.py'",
  ),
  (
    "--config nowhere/x.py",
    "no config file 'nowhere/x.py'",
    "configs/shapes.py",
  ),
  ("--config=configs/shapes.py:debg", "'debg'", "only 'debug' is known"),
  ("--config.seed=1", "--config.seed", "--config=FILE.py"),
  ("--config.seed=1 --config=configs/shapes.py", "--config.seed", "before"),
]


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused[0])
def test_wrong_command_line_is_one_sentence(parse, refused):
  line, *words = refused
  with pytest.raises(UserError) as error:
    parse(*line.split())
  message = str(error.value)
  assert all(word in message for word in words), message
  assert "\n" not in message


@pytest.fixture
def config():
  return {
    "model": {"ch": 32, "ch_mult": (1, 2)},
    "train": {"num_examples": 100, "log_every_steps": 5, "batch_size": 8},
    "sample": {"num_views": 4},
  }


def read(workdir):
  return json.loads((workdir / "config.json").read_text())


def test_workdir_remembers_the_first_config(tmp_path, config):
  workdir = tmp_path / "run"
  check_workdir(workdir, config, write=True)
  assert read(workdir) == json.loads(json.dumps(config))
  before = (workdir / "config.json").stat().st_mtime_ns
  check_workdir(workdir, config, write=True)  # tuples are lists in the file
  assert (workdir / "config.json").stat().st_mtime_ns == before
  assert [p.name for p in workdir.iterdir()] == ["config.json"]


def test_workdir_of_another_config_is_refused_and_kept(tmp_path, config):
  check_workdir(tmp_path, config, write=True)
  saved = read(tmp_path)
  config["model"]["ch"] = 64
  config["model"]["ch_mult"] = (1, 2, 2)
  config["train"]["num_examples"] = 200  # allowed, so not listed
  config["optim"] = {"b1": 0.9}
  del config["train"]["batch_size"]
  with pytest.raises(UserError) as error:
    check_workdir(tmp_path, config, write=True)
  message = str(error.value)
  assert str(tmp_path / "config.json") in message
  assert "model.ch (saved: 32, now: 64)" in message
  assert "model.ch_mult (saved: [1, 2], now: [1, 2, 2])" in message
  assert "optim.b1 (saved: absent, now: 0.9)" in message
  assert "train.batch_size (saved: 8, now: absent)" in message
  assert "num_examples" not in message
  assert "another --workdir" in message
  assert read(tmp_path) == saved


def test_changeable_keys_are_updated(tmp_path, config):
  check_workdir(tmp_path, config, write=True)
  config["train"]["num_examples"] = 200
  config["train"]["log_every_steps"] = 1
  config["sample"]["num_views"] = 9
  check_workdir(tmp_path, config, write=False)
  assert read(tmp_path)["sample"]["num_views"] == 4
  check_workdir(tmp_path, config, write=True)
  assert read(tmp_path) == json.loads(json.dumps(config))


def test_a_key_that_did_not_exist_yet_had_its_neutral_value(tmp_path, config):
  workdir = tmp_path / "run"
  check_workdir(workdir, config, write=True)
  patches = lambda size: {**config, "model": {"patch_size": size}}
  old = {k: v for k, v in config.items() if k != "model"}
  (workdir / "config.json").write_text(json.dumps(old))
  with pytest.raises(UserError, match=r"patch_size \(saved: 1, now: 2\)"):
    check_workdir(workdir, patches(2), write=True)
  check_workdir(workdir, patches(1), write=True)
  assert read(workdir)["model"] == {"patch_size": 1}


def test_a_workdir_of_an_older_version_is_resumed(tmp_path, debug_config):
  """data/old_config.json is of `configs/srn_chairs.py:debug` at 52dc472."""
  old = pathlib.Path(__file__).parents[1] / "data" / "old_config.json"
  (tmp_path / "config.json").write_text(old.read_text())
  check_workdir(tmp_path, debug_config.to_dict(), write=True)
  debug_config.data.hue_augmentation = True
  with pytest.raises(UserError, match="hue_augmentation .saved: False"):
    check_workdir(tmp_path, debug_config.to_dict(), write=True)


@pytest.mark.parametrize(
  "resolution, levels, patch_size, advice",
  [
    (100, 4, 1, "96 or 104"),
    (100, 6, 1, "96 or 128"),
    (100, 4, 3, "patch_size=3, .* 96 or 120"),
    (5, 4, 1, "use 8,"),
    (0, 1, 1, "use 1,"),
  ],
)
def test_resolution_that_levels_do_not_divide(
  resolution, levels, patch_size, advice
):
  with pytest.raises(UserError, match=advice) as error:
    check_resolution(resolution, (1,) * levels, patch_size)
  assert f"data.resolution={resolution}" in str(error.value)


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


def test_broken_config_json_is_named(tmp_path, config):
  (tmp_path / "config.json").write_text('{"model": {')
  with pytest.raises(UserError, match=r"config\.json is not valid JSON"):
    check_workdir(tmp_path, config, write=True)
  assert (tmp_path / "config.json").read_text() == '{"model": {'
