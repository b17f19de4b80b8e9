# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adds up the seconds that each stage of a run takes, across restarts.

add_timings("W", {"train": 12.5})  # adds 12.5 to "train" in W/timings.json
python -m threedim_jax.workdir.timings --workdir W install=60 data=20

W is the workdir. The command adds 60 seconds to the stage "install" and 20
seconds to the stage "data".
"""

import argparse
from collections.abc import Mapping
import json
import math

from etils import epath

from threedim_jax.runtime.disk import check_writable, write_atomically
from threedim_jax.runtime.errors import exit_with_message


def add_timings(workdir: epath.PathLike, seconds: Mapping[str, float]) -> None:
  """Adds {stage: seconds} to the totals in a workdir's timings.json.

  If timings.json is missing or damaged, all totals start from 0. If the folder
  does not exist, it is made.
  """
  path = epath.Path(workdir) / "timings.json"
  try:
    total = {k: float(v) for k, v in json.loads(path.read_text()).items()}
  except (FileNotFoundError, ValueError, TypeError, AttributeError):
    total = {}
  for stage, value in seconds.items():
    total[stage] = round(total.get(stage, 0.0) + value, 1)
  path.parent.mkdir(parents=True, exist_ok=True)
  write_atomically(path, json.dumps(total, indent=2))


def _stage(word: str) -> tuple[str, float]:
  """Splits a word of the command line, "STAGE=SECONDS", into its parts.

  Raises:
    ArgumentTypeError: the word has another form.
  """
  stage, _, number = word.partition("=")
  try:
    seconds = float(number)
  except ValueError:
    seconds = math.nan
  if not stage or not math.isfinite(seconds):
    raise argparse.ArgumentTypeError(
      f"{word!r} is not a name and a number such as install=60"
    )
  return stage, seconds


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--workdir", required=True)
  parser.add_argument("stages", nargs="+", metavar="STAGE=SECONDS", type=_stage)
  args = parser.parse_args()
  with exit_with_message():
    check_writable(args.workdir)
    add_timings(args.workdir, dict(args.stages))


if __name__ == "__main__":
  main()
