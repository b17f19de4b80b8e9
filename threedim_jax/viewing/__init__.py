# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes pages and pictures from the files that a run left in its workdir.

This folder loads no model. Of the package's other folders, it may import only
`workdir`, `views` and `runtime`.
"""
