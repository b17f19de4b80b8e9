# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Ahead-of-time compilation: what the TPU compiler says without a TPU.

`topologies` names the slices, `programs` compiles the train step and the
sampler for one, `profile` reads what the compiler wrote into the program, and
`report` puts both into a table and a JSON file.
"""
