# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Processes, devices, signals, disk and progress: what every program needs and
no method is about. Imports no other folder.
"""
