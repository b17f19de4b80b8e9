# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores generated views: against true views, and for 3D consistency.

Scoring reads folders of views and needs no model. Code here may import from
only these other folders of the package: `inputs`, `workdir`, `views` and
`runtime`.
"""
