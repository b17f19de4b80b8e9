# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The files that modes leave for each other in `--workdir`.

Training, sampling and evaluation write them; scoring and viewing read nothing
else. May import views and runtime.
"""
