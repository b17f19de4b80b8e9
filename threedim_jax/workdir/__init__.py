# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Defines the files that runs write to their `--workdir`.

Training, sampling and evaluation write these files. Scoring and viewing read
them. Of the package's other folders, this one may import only views and
runtime.
"""
