# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Generates views with trained weights and writes them to sample folders.

May import models, diffusion, workdir, views and runtime.
"""
