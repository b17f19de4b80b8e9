# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the inputs of a run: built data sets, training pairs, photos and posed
pictures. Checks whether cameras fit their pictures.

May import workdir, views and runtime.
"""
