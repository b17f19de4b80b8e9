# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The modes of the command line, one file for each value of `--mode`.

`main` parses the flags and calls the function `run` of the mode's file. Code
here may import from every other folder of the package except `demo` and
`benchmark`. Only `main` may import the modes, but `benchmark` also uses
`config_flag`, `config_values`, `command_line` and `aot`.
"""
