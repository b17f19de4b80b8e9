# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The modes of the command line, one file for each value of `--mode`.

`main` parses the flags and calls the function `run` of the mode's file. Modes
may import every other folder but demo and benchmark. Only `main` imports a
mode; `benchmark` uses `config_values` and `aot`.
"""
