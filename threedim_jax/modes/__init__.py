# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""One file per `--mode`: `main` parses the flags and calls one of them.

Modes may import every other folder; nothing imports a mode.
"""
