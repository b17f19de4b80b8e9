# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores generated views against true views, and against each other in 3D.

Scores need folders of views, but no model. May import inputs, workdir, views
and runtime.
"""
