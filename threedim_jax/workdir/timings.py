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

from etils import epath

from threedim_jax.runtime.disk import write_atomically


def add_timings(workdir: epath.PathLike, seconds: Mapping[str, float]) -> None:
  """Adds {stage: seconds} to the totals in a workdir's timings.json.

  If timings.json is missing or damaged, all totals start from 0.
  """
  path = epath.Path(workdir) / "timings.json"
  try:
    total = {k: float(v) for k, v in json.loads(path.read_text()).items()}
  except (FileNotFoundError, ValueError, TypeError, AttributeError):
    total = {}
  for stage, value in seconds.items():
    total[stage] = round(total.get(stage, 0.0) + value, 1)
  write_atomically(path, json.dumps(total, indent=2))


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--workdir", required=True)
  parser.add_argument("stages", nargs="+", metavar="STAGE=SECONDS")
  args = parser.parse_args()
  pairs = (stage.split("=", 1) for stage in args.stages)
  add_timings(args.workdir, {name: float(value) for name, value in pairs})


if __name__ == "__main__":
  main()
