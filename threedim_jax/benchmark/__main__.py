# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs `cli.main` for `python -m threedim_jax.benchmark`."""

import sys

from threedim_jax.benchmark.cli import main

if __name__ == "__main__":
  main(sys.argv)
