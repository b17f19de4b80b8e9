# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a training run asks of its folder before it takes a step."""

import pytest

from threedim_jax.runtime.errors import UserError


@pytest.fixture
def config(data_dir, debug_config):
  debug_config.data.data_dir = str(data_dir)
  return debug_config


def test_damaged_checkpoints_are_not_trained_over(config, tmp_path):
  """The start that finds them moves them all: the next one sees no step."""
  from threedim_jax.modes.train import train_and_evaluate

  (tmp_path / "checkpoints" / "damaged" / "20").mkdir(parents=True)
  curve = '{"step": 20, "train/loss": 0.5}\n'
  (tmp_path / "metrics.jsonl").write_text(curve)
  with pytest.raises(UserError, match="damaged .* 20 .* another --workdir"):
    train_and_evaluate(config, tmp_path)
  assert (tmp_path / "metrics.jsonl").read_text() == curve


def test_space_is_asked_for_all_that_will_be_kept(
  config, tmp_path, monkeypatch
):
  """Two newest, the best and the one being written, less what is there."""
  from threedim_jax.modes import train

  def stop(path, bytes_needed, what):
    raise UserError(str(bytes_needed))

  monkeypatch.setattr(train, "check_free_space", stop)
  asked = []
  for new_steps in ((), (10,), (20, 30, 40)):
    for step in new_steps:
      (tmp_path / "checkpoints" / str(step)).mkdir(parents=True)
    with pytest.raises(UserError) as error:
      train.train_and_evaluate(config, tmp_path)
    asked.append(int(str(error.value)))
  assert [a / asked[-1] for a in asked] == [4, 3, 1]
