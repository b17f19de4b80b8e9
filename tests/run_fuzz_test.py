# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Damaged weights, data sets and flags end in a result or in a sentence."""

from mutations import assert_no_faults
import pytest
import run_fuzz


@pytest.mark.slow
@pytest.mark.parametrize("reader", run_fuzz.READERS)
def test_damaged_files(reader):
  assert_no_faults(run_fuzz.__file__, reader)
