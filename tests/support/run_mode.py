# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs a mode as the command line does, and reads how `main` refuses input."""

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


def assert_refused(result: tuple[int, str, str], *words: str) -> None:
  """The result of the fixture `run_main` is one sentence with these words."""
  code, _, err = result
  assert code == 2, err
  assert "Traceback" not in err
  (line,) = [s for s in err.splitlines() if s.startswith("error: ")]
  assert all(word in line for word in words), line
