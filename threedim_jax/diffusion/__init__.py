# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The equations of diffusion, the losses and the sampler.

Pure functions of a denoiser: nothing here imports a model, a config or a file
format. May import views (cameras, pixels) only.
"""
