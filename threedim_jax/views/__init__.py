# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Cameras, pictures, posed views (pictures with cameras) and picture metrics.

Of the package's other folders, this one may import only `runtime`.
"""
