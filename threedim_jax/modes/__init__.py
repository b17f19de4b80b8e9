# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The modes of the command line, one file for each value of `--mode`.

`main` parses the flags and calls the function `run` of the mode's file. Modes
may import every other folder except demo and benchmark. Only `main` imports the
modes, but `benchmark` also uses `config_values` and `aot`.
"""
