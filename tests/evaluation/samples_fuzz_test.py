# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Damaged folders of samples: every use ends in a result or in a sentence."""

import pathlib

from mutations import run_alone
import pytest
import samples_fuzz


@pytest.mark.slow
@pytest.mark.parametrize("use", samples_fuzz.USES)
def test_damaged_folders(use):
  outcome = run_alone(pathlib.Path(samples_fuzz.__file__), use, number=400)
  assert not outcome.faults, outcome.faults[0]
  assert outcome.tried == 400 and outcome.refused > 20 and outcome.read > 20


@pytest.mark.parametrize("use", samples_fuzz.USES)
def test_the_folder_is_fine_before_it_is_damaged(use):
  samples_fuzz.read(use, samples_fuzz.to_damage())
