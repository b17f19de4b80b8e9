# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The training step with its state and optimizer, and the metrics of a run.

Code here may import from only these other folders of the package: `models`,
`diffusion`, `inputs`, `workdir`, `views` and `runtime`.
"""
