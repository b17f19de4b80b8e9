# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The files that the modes write to `--workdir` and read from there.

Training, sampling and evaluation write them. Scoring and viewing read only
these files. May import views and runtime.
"""
