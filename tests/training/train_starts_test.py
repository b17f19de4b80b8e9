# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a training run asks of its folder before it takes a step."""

from main_test import assert_one_paragraph

from threedim_jax.runtime.errors import UserError


def test_damaged_checkpoints_are_not_trained_over(
  run_main, tmp_path, tiny_data
):
  """The start that finds them moves them all: the next one sees no step."""
  args, _ = tiny_data
  workdir = tmp_path / "w"
  (workdir / "checkpoints" / "damaged" / "20").mkdir(parents=True)
  curve = '{"step": 20, "train/loss": 0.5}\n'
  (workdir / "metrics.jsonl").write_text(curve)
  result = run_main(f"--workdir={workdir}", *args)
  assert_one_paragraph(result, "damaged", "20", "another --workdir")
  assert (workdir / "metrics.jsonl").read_text() == curve


def test_space_is_asked_for_all_that_will_be_kept(
  run_main, tmp_path, tiny_data, monkeypatch
):
  """Two newest, the best and the one being written, less what is there."""
  from threedim_jax.modes import train

  def stop(path, bytes_needed, what):
    raise UserError(str(bytes_needed))

  monkeypatch.setattr(train, "free_space", stop)
  args, _ = tiny_data
  asked = []
  for step in (None, 10, 20, 30, 40):
    if step:
      (tmp_path / "w" / "checkpoints" / str(step)).mkdir(parents=True)
    _, _, err = run_main(f"--workdir={tmp_path / 'w'}", *args)
    asked.append(int(err.partition("error: ")[2]))
  assert [a / asked[-1] for a in asked] == [4, 3, 2, 1, 1]
