# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every test of a launcher may have the tools of clouds as stand-ins."""

import pytest


@pytest.fixture
def stubs(tmp_path):
  from stubs import Stubs

  return Stubs(tmp_path)
