# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Damaged photos and posed folders end in a result or in a sentence."""

from mutations import assert_no_faults
import picture_fuzz
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("reader", picture_fuzz.READERS)
def test_damaged_files(reader):
  assert_no_faults(picture_fuzz.__file__, reader)


@pytest.mark.parametrize("reader", picture_fuzz.READERS)
def test_the_files_are_fine_before_they_are_damaged(reader):
  picture_fuzz.read(picture_fuzz.READERS[reader]())
