# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m threedim_jax.benchmark`; see `cli`."""

import sys

from threedim_jax.benchmark.cli import main

if __name__ == "__main__":
  main(sys.argv)
