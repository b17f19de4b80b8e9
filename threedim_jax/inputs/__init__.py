# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the inputs of a run: data sets, training pairs and users' pictures.

`camera_check` checks whether the cameras of a data set match its pictures. Of
the package's other folders, this one may import only `workdir`, `views` and
`runtime`.
"""
