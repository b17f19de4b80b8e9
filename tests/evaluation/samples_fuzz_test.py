# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Damaged folders of samples: every use ends in a result or in a sentence."""

from mutations import assert_no_faults
import pytest
import samples_fuzz


@pytest.mark.slow
@pytest.mark.parametrize("use", samples_fuzz.USES)
def test_damaged_folders(use):
  assert_no_faults(samples_fuzz.__file__, use, number=400, least_read=21)


@pytest.mark.parametrize("use", samples_fuzz.USES)
def test_the_folder_is_fine_before_it_is_damaged(use):
  samples_fuzz.read(use, samples_fuzz.to_damage())
