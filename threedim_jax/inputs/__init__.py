# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the inputs of a run: data sets, training pairs and users' pictures.

`camera_check` checks whether the cameras of a data set match its pictures. Code
here may import from only these other folders of the package: `workdir`, `views`
and `runtime`.
"""
