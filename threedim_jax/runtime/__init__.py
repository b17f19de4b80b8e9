# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Processes, devices, signals, disk and progress, for every program.

Imports no other folder.
"""
