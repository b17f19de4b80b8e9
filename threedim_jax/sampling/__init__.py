# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Loads trained weights, generates views and writes them to sample folders.

`load` loads weights, `view_sampler` generates views with them, and `generate`
fills folders with the views. This folder may import models, diffusion, inputs,
workdir, views and runtime.
"""
