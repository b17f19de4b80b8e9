# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compiles programs for TPUs ahead of time, on a machine without a TPU.

`topologies` lists TPU slices. `programs` compiles the train step and the
sampler for one of the slices. `profile` reads the compiler's cost estimates
from the compiled program. `report` formats the results as text and JSON.
"""
