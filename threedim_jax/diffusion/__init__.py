# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The equations of diffusion, the losses and the sampler.

The code here takes the network as a function, so it needs no model, config or
file format. May import views and runtime.
"""
