# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compiles programs for TPUs ahead of time, on a machine without a TPU.

`topologies` lists TPU slices. `programs` compiles the train step and the
sampler for one of the slices. `profile` reads the compiler's cost estimates
from the text of such a compiled program. `report` formats the estimates as text
and JSON.
"""
