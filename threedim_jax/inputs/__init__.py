# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Everything that a run reads: built data sets, training pairs, photos, posed
pictures, and the check of their cameras.

May import workdir, views and runtime.
"""
