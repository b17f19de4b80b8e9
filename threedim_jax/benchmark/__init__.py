# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a configuration costs on the machine at hand, measured.

  python -m threedim_jax.benchmark --config=configs/shapes.py --what=train

A part (`training`, `sampling`, `data`, `scoring`, `compiling`, `growth`) is a
file with one function that returns rows, plain dictionaries; `timing` measures
and `table` shows and saves them.
"""
