# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads what a run takes as input: data sets, pairs, photos, posed pictures.

Also checks whether cameras fit their pictures. May import workdir, views and
runtime.
"""
