# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command line. It is kept short; the parts can be imported in Colab.

  python -m threedim_jax.main --config=configs/srn_chairs.py --workdir=W
      [--mode=train|sample|evaluate] [--dry_run] [--config.KEY=VALUE ...]

Exit codes: 0 done, 2 bad input, 75 stopped by SIGTERM after saving.
"""

import os
import sys
import time

from absl import flags
from etils import epath
import jax

from threedim_jax import config_check
from threedim_jax.checkpoint_files import is_full_disk
from threedim_jax.config_values import check_values
from threedim_jax.errors import UserError, exit_with_message
from threedim_jax.report import write_report
from threedim_jax.timings import add_timings

_CONFIG = config_check.define_config_flag()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of this run.")
_MODE = flags.DEFINE_enum(
  "mode", "train", ["train", "sample", "evaluate"], "What to do."
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run", False, "Print configuration, parameters and cost, then exit."
)


def use_compilation_cache() -> None:
  """Keeps compiled programs between runs, in a folder of the user alone.

  The folder is trusted code, so it is never one that others can write to.
  """
  if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    return
  cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
  path = os.path.join(cache, "threedim_jax", "xla")
  os.makedirs(path, mode=0o700, exist_ok=True)
  jax.config.update("jax_compilation_cache_dir", path)


def run(config, workdir: epath.Path, mode: str) -> None:
  """Runs a mode, notes how long it took, and renews the report.

  Raises:
    UserError: bad input; where it can be seen beforehand, nothing is written.
  """
  if mode != "train" and not (workdir / "checkpoints").exists():
    raise UserError(
      f"{workdir} holds no trained model to {mode} with; train it first:"
      " the same command with --mode=train"
    )
  config_check.check_workdir(workdir, config.to_dict(), write=False)
  start = time.monotonic()
  try:
    try:
      dispatch(config, workdir, mode)
    except SystemExit:  # stopped by a signal: its time counts as well
      add_timings(workdir, {mode: time.monotonic() - start})
      raise
    add_timings(workdir, {mode: time.monotonic() - start})
    print(f"report: {write_report(workdir)}")
  except Exception as e:
    if not is_full_disk(e):
      raise
    raise UserError(
      f"the disk of {workdir} is full; free some space and run the same"
      " command again: it goes on from the last complete checkpoint or view"
    ) from e


def dispatch(config, workdir: epath.Path, mode: str) -> None:
  """Each mode imports only what it needs."""
  if mode == "train":
    from threedim_jax.train import train_and_evaluate

    train_and_evaluate(config, workdir)
  elif mode == "sample":
    from threedim_jax.sample import sample

    sample(config, workdir)
  else:
    from threedim_jax.evaluate import evaluate

    evaluate(config, workdir)


def main(argv: list[str]) -> None:
  with exit_with_message():
    config_check.parse_or_explain(argv)
    config = _CONFIG.value
    check_values(config)
    use_compilation_cache()
    if _DRY_RUN.value:
      from threedim_jax.dry_run import dry_run

      dry_run(config)
      return
    if not _WORKDIR.value:
      raise UserError("--workdir is missing: the folder this run writes to")
    run(config, epath.Path(_WORKDIR.value).absolute(), _MODE.value)


if __name__ == "__main__":
  main(sys.argv)
