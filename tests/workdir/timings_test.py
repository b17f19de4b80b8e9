# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The seconds of each stage add up, whatever the file held before."""

import json

import pytest

from threedim_jax.workdir.timings import add_timings


def test_stages_add_up(tmp_path):
  add_timings(tmp_path, {"train": 12.5})
  add_timings(tmp_path, {"train": 1.25, "sample": 3.0})
  timings = json.loads((tmp_path / "timings.json").read_text())
  assert timings == {"train": 13.8, "sample": 3.0}


@pytest.mark.parametrize("damaged", ["", "[]", "null", '{"train": []}'])
def test_a_damaged_file_starts_from_zero(tmp_path, damaged):
  """The training that adds its time is done, and must not fail for this."""
  (tmp_path / "timings.json").write_text(damaged)
  add_timings(tmp_path, {"train": 2.0})
  timings = json.loads((tmp_path / "timings.json").read_text())
  assert timings == {"train": 2.0}
