# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Defines the files that runs write to their `--workdir`.

Training, sampling and evaluation write these files. Scoring and viewing read
them. Code here may import from only these other folders of the package: `views`
and `runtime`.
"""
