# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Damaged weights, data sets and flags end in a result or in a sentence."""

import pathlib

from mutations import run_alone
import pytest
import run_fuzz


@pytest.mark.slow
@pytest.mark.parametrize("reader", run_fuzz.READERS)
def test_damaged_files(reader):
  outcome = run_alone(pathlib.Path(run_fuzz.__file__), reader, number=200)
  assert not outcome.faults, outcome.faults[0]
  assert outcome.tried == 200 and outcome.refused > 20 and outcome.read > 2
