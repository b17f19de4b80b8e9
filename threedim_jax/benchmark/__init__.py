# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures what a configuration costs on the machine at hand.

  python -m threedim_jax.benchmark --config=configs/shapes.py --what=train

`programs` makes what is timed, `timing` times it, `parts` turns times into
rows (plain dictionaries), and `table` shows and saves them. `tpu` compiles for
slices that are not here, see `threedim_jax.modes.aot`.
"""
