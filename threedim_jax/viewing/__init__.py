# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pages and pictures made from what a run left in its workdir.

May import workdir, views and runtime; loads no model.
"""
