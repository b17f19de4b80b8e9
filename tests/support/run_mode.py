# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs a mode as the command line does, with a configuration at hand."""

import types


def run_mode(mode: str, config, workdir) -> None:
  """Trains, samples or evaluates in a workdir; all other flags are default."""
  from threedim_jax import main
  from threedim_jax.modes import command_line

  args = types.SimpleNamespace(
    **{flag.name: flag.default for flag in command_line.FLAGS}
  )
  args.workdir = str(workdir)
  main.run_in_workdir(mode, config, args)
