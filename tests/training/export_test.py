# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Exporting says what is wrong before it reads a checkpoint.

What it writes is tested at the end of a training, in end_to_end_test.py.
"""

import pytest

from threedim_jax.runtime.errors import UserError
from threedim_jax.training import export


def test_a_folder_that_is_not_there_is_told_first(tmp_path, monkeypatch):
  read = lambda workdir: pytest.fail("the checkpoint was read")
  monkeypatch.setattr(export, "read_params", read)
  out = tmp_path / "none" / "x.msgpack"
  with pytest.raises(UserError, match=f"{out}: its folder does not exist"):
    export.export(tmp_path, out, "configs/some.py")
