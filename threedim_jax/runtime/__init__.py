# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Services for every program: processes, devices, signals, disk and progress.

Code here must not import from any other folder of the package.
"""
