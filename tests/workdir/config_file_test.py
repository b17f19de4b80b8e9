# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A workdir remembers its configuration, and is refused to another one."""

import json
import pathlib

import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.workdir.config_file import check_workdir


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


@pytest.mark.parametrize("content", ['{"model": {', "[]", "null"])
def test_broken_config_json_is_named(tmp_path, config, content):
  (tmp_path / "config.json").write_text(content)
  with pytest.raises(UserError, match=r"config\.json is not valid JSON"):
    check_workdir(tmp_path, config, write=True)
  assert (tmp_path / "config.json").read_text() == content
