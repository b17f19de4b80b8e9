# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Damaged mesh files: every reader ends in a picture or in a sentence."""

import mesh_fuzz
from mutations import assert_no_faults
import pytest

from threedim_jax.runtime.errors import UserError


@pytest.mark.slow
@pytest.mark.parametrize("reader", mesh_fuzz.READERS)
def test_damaged_files(reader):
  assert_no_faults(mesh_fuzz.__file__, reader)


@pytest.mark.parametrize("reader", mesh_fuzz.READERS)
def test_the_files_are_fine_before_they_are_damaged(reader):
  try:
    mesh_fuzz.read(mesh_fuzz.READERS[reader]())
  except UserError as e:
    pytest.fail(str(e))
