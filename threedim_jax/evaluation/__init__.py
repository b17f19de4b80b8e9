# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores: against true views, and 3D consistency by fitting a neural field.

No model is needed: scores are computed from folders of views. May import
inputs, workdir, views and runtime.
"""
