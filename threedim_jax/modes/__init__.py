# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""One file per `--mode`: `main` parses the flags and calls its `run`.

Modes may import every other folder but demo and benchmark. Only `main` imports
a mode; `benchmark` uses `config_values` and `aot`.
"""
