# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The equations of diffusion, the losses and the sampler.

The code here takes the network as a function, so this folder needs no model,
configuration or file format. Of the package's other folders, this one may
import only `views` and `runtime`.
"""
