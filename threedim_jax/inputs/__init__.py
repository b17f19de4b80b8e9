# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the inputs of a run: data sets, training pairs, photos, posed pictures.

This package also checks whether cameras fit their pictures. It may import
workdir, views and runtime.
"""
