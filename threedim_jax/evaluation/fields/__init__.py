# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""3D consistency scores (3DiM sec. 4): a neural field is fitted to views.

box.py, field.py, render.py and fit.py are the field, in JAX alone; score.py is
the protocol around it, view_sets.py and run.py its files.
"""
