# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Saves Orbax checkpoints with SHA-256 sums that reveal damaged files."""
