# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures what a configuration costs on this machine.

`parts` measures one part of `--what` and returns rows (plain dictionaries).
`timing` compiles and times programs. `cli` shows and saves the rows. `tpu`
compiles for TPU slices that are not here, see `threedim_jax.modes.aot`.
"""
