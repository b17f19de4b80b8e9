# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Cameras, pictures, posed views (pictures with cameras) and picture metrics.

Code here may import from only one other folder of the package: `runtime`.
"""
