# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures how fast a configuration runs on this machine.

`cli` is the command line: it prints a table of the measurements, and saves them
as JSON if asked. `parts` measures each part that `--what` can name, such as
"train", and returns the rows of the table as dictionaries. `timing` compiles
and times single programs. `tpu` compiles for TPU slices that this machine does
not have (see `threedim_jax.modes.aot`). Code here may import from every other
folder of the package except `demo`; of `modes`, only the flags
(`command_line`, `config_flag`, `config_values`) and `aot`.
"""
