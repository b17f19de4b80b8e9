# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The training step with its state and optimizer, and the metrics of a run.

Of the package's other folders, this one may import `models`, `diffusion`,
`inputs`, `workdir`, `views` and `runtime`.
"""
