# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Damaged photos and posed folders end in a result or in a sentence."""

import pathlib

from mutations import run_alone
import picture_fuzz
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("reader", picture_fuzz.READERS)
def test_damaged_files(reader):
  outcome = run_alone(pathlib.Path(picture_fuzz.__file__), reader, number=200)
  assert not outcome.faults, outcome.faults[0]
  assert outcome.tried == 200 and outcome.refused > 20 and outcome.read > 2


@pytest.mark.parametrize("reader", picture_fuzz.READERS)
def test_the_files_are_fine_before_they_are_damaged(reader):
  picture_fuzz.read(picture_fuzz.READERS[reader]())
