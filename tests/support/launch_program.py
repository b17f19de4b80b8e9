# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs a Python program of launch/ as its users do."""

import pathlib
import subprocess
import sys

REPO = pathlib.Path(__file__).parents[2]


def run(name: str, *args) -> subprocess.CompletedProcess:
  """`python launch/NAME ARGS`, its output as text."""
  return subprocess.run(
    [sys.executable, REPO / "launch" / name, *map(str, args)],
    capture_output=True,
    text=True,
    cwd=REPO,
  )
