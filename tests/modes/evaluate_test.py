# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs that share out an evaluation find the numbers of a single one."""

import json

import pytest

from threedim_jax.modes import evaluate
from threedim_jax.runtime.errors import UserError

NUM_OBJECTS = 3


@pytest.fixture
def config(noise_config):
  noise_config.evaluate.num_samples = 2
  return noise_config


def test_two_shards_find_what_one_run_does(config, tmp_path, capsys):
  whole = evaluate.evaluate(config, tmp_path / "whole")
  assert len(whole["objects"]) == NUM_OBJECTS
  config.evaluate.num_shards = 2
  for order in ((0, 1), (1, 0)):
    workdir = tmp_path / f"shard_{order[0]}_first"
    config.evaluate.shard_index = order[0]
    assert evaluate.evaluate(config, workdir) is None
    assert not (workdir / "evaluation.json").exists()
    mine = len(range(order[0], NUM_OBJECTS, 2))
    assert len(list((workdir / "evaluate").iterdir())) == mine
    missing = 2 * (NUM_OBJECTS - mine)  # of two samples each
    assert f"{missing} folder(s) of samples to make" in capsys.readouterr().out
    config.evaluate.shard_index = order[1]
    evaluate.evaluate(config, workdir)
    found = json.loads((workdir / "evaluation.json").read_text())
    settings = found["provenance"]["config"]["evaluate"]
    settings |= {"num_shards": 1, "shard_index": 0}
    assert found == json.loads(
      (tmp_path / "whole" / "evaluation.json").read_text()
    )


def test_an_evaluation_of_other_settings_is_left_alone(config, tmp_path):
  workdir = tmp_path / "W"
  first = evaluate.evaluate(config, workdir)
  read = lambda: {p: p.read_bytes() for p in workdir.rglob("*") if p.is_file()}
  before = read()
  assert evaluate.evaluate(config, workdir) == first
  config.evaluate.num_objects = 2  # the same folders would do
  with pytest.raises(UserError, match="evaluate.num_objects was.*is now 2"):
    evaluate.evaluate(config, workdir)
  config.evaluate.num_objects = None
  config.sampler.guidance_weight = 7.0
  with pytest.raises(UserError, match="sampler.guidance_weight was.*now 7.0"):
    evaluate.evaluate(config, workdir)
  assert read() == before
  found = evaluate.evaluate(config, workdir, overwrite=True)
  assert found["provenance"]["config"]["sampler"]["guidance_weight"] == 7.0
  found["provenance"]["config"] = {}  # as after a bad edit
  (workdir / "evaluation.json").write_text(json.dumps(found))
  with pytest.raises(UserError, match="sampler.guidance_weight was.*now 7.0"):
    evaluate.evaluate(config, workdir)
