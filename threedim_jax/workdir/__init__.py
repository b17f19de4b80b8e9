# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Defines the files that the modes write to `--workdir` and read from there.

Training, sampling and evaluation write these files. Scoring and viewing read
nothing else. May import views and runtime.
"""
