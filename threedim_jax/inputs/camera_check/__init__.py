# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks whether the cameras of a data set match its pictures.

If they do not match, the report names the likely mistake.
"""
