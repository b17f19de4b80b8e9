# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Loads trained weights, generates views and writes them to sample folders.

`load` is the way from weights to views; `generate` fills folders with them.
May import models, diffusion, inputs, workdir, views and runtime.
"""
