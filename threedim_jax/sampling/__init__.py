# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Loads trained weights, generates views and writes them to sample folders.

`load` loads the weights, `view_sampler` generates views, and `generate` writes
the views to folders. Code here may import from only these other folders of the
package: `models`, `diffusion`, `inputs`, `workdir`, `views` and `runtime`.
"""
