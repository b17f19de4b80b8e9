# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A flag that the mode would not read is refused, with what to use instead."""

from main_test import assert_one_paragraph
import pytest


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


def test_the_table_names_flags_modes_and_keys_that_exist(debug_config):
  from absl import flags

  from threedim_jax import main
  from threedim_jax.modes import mode_flags
  from threedim_jax.runtime import nested

  names = {*mode_flags.READ_BY, *mode_flags.NEEDS, *mode_flags.NEEDS.values()}
  assert names <= set(flags.FLAGS)
  modes = {*main.RUN_MODES, *main.FOLDER_MODES}
  for name, readers in mode_flags.READ_BY.items():
    assert set(readers) < modes, name
  keys = nested.flatten(debug_config.to_dict())
  for (name, mode), text in mode_flags.INSTEAD.items():
    assert mode in modes - set(mode_flags.READ_BY[name])
    assert text.replace(",", "=").partition("=")[0] in keys
